/**
 * What is measured of requests, by app, release, stage, status class and code. The number of series is bounded: an
 * app's older releases share one for what they still get, whatever their stages; stages of a release beyond a few count with what no stage
 * brought; and apps beyond the bound share another.
 */
import { type MeshCode, meshErrors } from "./errors.ts";
import { Histogram } from "./histogram.ts";

/** Releases of one app that have a series of their own. */
const releaseCount = 8;
/** Stages of one release that have a series of their own. */
const stageCount = 4;
/** Series of all apps. */
const seriesCount = 1_000;
/** Release of the series that an app's older releases share. */
const older = -1;

const codes: readonly (MeshCode | "")[] = ["", ...(Object.keys(meshErrors) as MeshCode[])];
const places = Object.fromEntries(codes.map((code, place) => [code, place])) as Record<MeshCode | "", number>;
/** 1xx to 9xx, and what has no such class. */
const classCount = 10;

export interface Count {
  /** `2xx` */
  readonly status: string;
  readonly code: MeshCode | "";
  readonly count: number;
}

export class Series {
  /** Empty for what belongs to no app, and for the apps beyond the bound. */
  readonly app: string;
  /** 0 when there was none, `older` for all that have no series of their own any more. */
  readonly release: number;
  /** Which brought the requests to a release that is not everybody's yet; empty for all others. */
  readonly stage: string;
  /** Of the stages, in the series of what no stage brought. */
  readonly stages: Series[] = [];
  readonly latency = new Histogram();
  readonly #counts = new Float64Array(classCount * codes.length);

  constructor(app: string, release: number, stage = "") {
    this.app = app;
    this.release = release;
    this.stage = stage;
  }

  add(code: MeshCode | "", status: number, ms: number): void {
    const statusClass = (status / 100) | 0;
    this.#counts[(statusClass < classCount ? statusClass : 0) * codes.length + places[code]]!++;
    if (ms >= 0) this.latency.add(ms);
  }

  *counts(): Generator<Count> {
    for (let i = 0; i < this.#counts.length; i++) {
      const count = this.#counts[i]!;
      const status = `${Math.floor(i / codes.length)}xx`;
      if (count > 0) yield { status, code: codes[i % codes.length]!, count };
    }
  }
}

export class Measures {
  readonly #apps = new Map<string, Map<number, Series>>();
  readonly #rest = new Series("", 0);
  #last: Series = this.#rest;
  #count = 0;

  /** Where a request of this app, release and stage counts. */
  series(app: string, release: number, stage = ""): Series {
    const series = this.#series(app, release);
    return stage === "" ? series : this.#staged(series, stage);
  }

  #staged(series: Series, stage: string): Series {
    const known = series.stages.find((one) => one.stage === stage);
    if (known !== undefined) return known;
    const isFull = series.stages.length >= stageCount || this.#count >= seriesCount;
    if (isFull || series.app === "" || series.release === older) return series;
    const made = new Series(series.app, series.release, stage);
    series.stages.push(made);
    this.#count++;
    return made;
  }

  #series(app: string, release: number): Series {
    // The next request is mostly of the same app and release as the last one.
    if (this.#last.release === release && this.#last.app === app) return this.#last;
    return (this.#last = this.#find(app, release));
  }

  #find(app: string, release: number): Series {
    if (app === "") return this.#rest;
    let releases = this.#apps.get(app);
    const known = releases?.get(release);
    if (known !== undefined) return known;
    const retired = releases?.get(older);
    if (retired !== undefined && release < oldestOf(releases!)) return retired;
    if (this.#count >= seriesCount) return releases?.get(older) ?? this.#rest;
    if (releases === undefined) {
      releases = new Map();
      this.#apps.set(app, releases);
    }
    const series = new Series(app, release);
    releases.set(release, series);
    this.#count++;
    if (releases.size > releaseCount) this.#retire(app, releases);
    // A release that came back may be older than all that have a series.
    return releases.get(release) ?? releases.get(older)!;
  }

  /** Forgets a removed app. */
  forget(app: string): void {
    for (const { stages } of this.#apps.get(app)?.values() ?? []) this.#count -= 1 + stages.length;
    this.#apps.delete(app);
    this.#last = this.#rest;
  }

  *all(): Generator<Series> {
    yield this.#rest;
    for (const releases of this.#apps.values()) {
      for (const series of releases.values()) {
        yield series;
        yield* series.stages;
      }
    }
  }

  /** What it has counted was told under its name: moved to the shared series it would be counted once more. */
  #retire(app: string, releases: Map<number, Series>): void {
    const oldest = oldestOf(releases);
    this.#count -= 1 + releases.get(oldest)!.stages.length;
    releases.delete(oldest);
    this.#last = this.#rest;
    if (releases.has(older)) return;
    releases.set(older, new Series(app, older));
    this.#count++;
  }
}

function oldestOf(releases: ReadonlyMap<number, Series>): number {
  return Math.min(...[...releases.keys()].filter((release) => release !== older));
}
