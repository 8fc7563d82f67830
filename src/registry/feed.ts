/**
 * The serving half of the feed, in each controller: one poller of the store, any number of readers.
 *
 * The feed holds the whole registry and its recent commits in memory, so that readers cost the database
 * nothing, and so that a reader gets its snapshot while the database is away. It is pulled along by the
 * store's revisions (a hint within a millisecond or so, a poll each second) and compares its checksum with the
 * database's every 30 s. A reader that lags by more than 8 MiB is cut off and resumes.
 *
 * Of a reader that is ahead of it the feed first asks the database. It sends an older snapshot only when the
 * database itself is older (restored from a backup), and answers 503 when it cannot tell: another controller
 * may know better.
 */
import { timingSafeEqual } from "node:crypto";
import type { Clock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { Mirror } from "./mirror.ts";
import { Outlet, toLine, toLines } from "./outlet.ts";
import type { Commit, RegistryStore } from "./registry.ts";
import type { Section } from "./section.ts";
import type { FeedConnector } from "./source.ts";

export const beatMs = 1_000;
export const readersMax = 2_000;
const checksumEveryBeats = 10;
const verifyEveryBeats = 30;
const pageCommits = 64;
const recentCommitsMax = 2_000;
const backfillCommits = 200;
const recentBytesMax = 16 * 1024 * 1024;
const confirmTimeoutMs = 500;

export interface FeedOptions {
  readonly store: RegistryStore;
  /** Readers must send it: `Authorization: Bearer SECRET`. */
  readonly secret: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Feed extends AsyncDisposable {
  /** Answers GET /feed?from=REVISION with a stream of lines that ends only when one side leaves. */
  serve(request: Request): Promise<Response>;
  /** The same without a network, for this process's own replica. */
  readonly connector: FeedConnector;
  /** The feed of one section, of which beats carry no checksum, and whose revisions leave out what is elsewhere. */
  watch(section: Section, from: number, signal: AbortSignal): AsyncIterable<string>;
  /** Newest revision it serves; 0 before the first look at the database. */
  readonly revision: number;
  readonly readers: number;
  /** Since the database was last heard; Infinity before that. */
  staleMs(): number;
}

interface Recent {
  readonly revision: number;
  readonly text: string;
}

/** Starts following the store. */
export function startFeed(options: FeedOptions): Feed {
  const { store, clock, log } = options;
  const stopping = new AbortController();
  const outlets = new Set<Outlet>();
  let mirror: Mirror | undefined;
  let recent: Recent[] = [];
  let recentBytes = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  let pulling: Promise<void> | undefined;
  let wanted = false;
  let verifying = false;

  const remember = (commit: Commit): Recent => {
    const one = { revision: commit.revision, text: toLines(commit) };
    recent.push(one);
    recentBytes += one.text.length;
    while (recent.length > recentCommitsMax || recentBytes > recentBytesMax) {
      recentBytes -= recent.shift()?.text.length ?? 0;
    }
    return one;
  };

  /** Takes everything anew, and has every reader do so too. */
  const reload = async () => {
    const snapshot = await store.snapshot();
    const past = await store.since(Math.max(1, snapshot.revision - backfillCommits), backfillCommits + 1);
    recent = [];
    recentBytes = 0;
    if (past.kind === "commits") {
      for (const commit of past.commits) if (commit.revision <= snapshot.revision) remember(commit);
      // A page may be cut off; a gap before the snapshot would be sent as if it were none.
      if (recent.at(-1)?.revision !== snapshot.revision) recent = [];
    }
    mirror ??= new Mirror();
    mirror.become(snapshot);
    const entries = mirror.entries();
    for (const outlet of outlets) outlet.restart(snapshot.revision, entries);
  };

  const verify = async () => {
    verifying = false;
    const truth = await store.checksum();
    if (mirror === undefined || mirror.revision !== truth.revision) return;
    if (mirror.checksum === truth.checksum) return;
    log.error("feed_drifted", { revision: truth.revision, own: mirror.checksum, database: truth.checksum });
    await reload();
  };

  const catchUp = async () => {
    if (mirror === undefined) await reload();
    for (;;) {
      if (mirror === undefined) return;
      const since = await store.since(mirror.revision + 1, pageCommits);
      heardAt = clock.now();
      if (since.kind === "too_late" || since.revision < mirror.revision) {
        log.error("feed_reloads", { from: mirror.revision, newest: since.revision, reason: since.kind });
        await reload();
      } else if (since.commits.length === 0) {
        if (verifying) await verify();
        return;
      } else {
        for (const commit of since.commits) {
          mirror.apply(commit.revision, commit.changes);
          const { text } = remember(commit);
          for (const outlet of outlets) outlet.commit(text);
        }
      }
    }
  };

  /** One at a time; whoever asks during one gets another after it. */
  const pull = (): Promise<void> => {
    wanted = true;
    pulling ??= (async () => {
      try {
        while (wanted && !stopping.signal.aborted) {
          wanted = false;
          await catchUp();
        }
      } catch (error) {
        log.warn("feed_pull_failed", { reason: toError(error).message });
      } finally {
        pulling = undefined;
      }
    })();
    return pulling;
  };

  const beat = (withChecksum: boolean): string => {
    const revision = mirror?.revision ?? 0;
    const staleMs = Math.round(Math.min(clock.now() - heardAt, Number.MAX_SAFE_INTEGER));
    const checksum = withChecksum && mirror !== undefined ? { checksum: mirror.checksum } : {};
    return toLine({ kind: "beat", revision, at: clock.wall().getTime(), staleMs, ...checksum });
  };

  const beats = async () => {
    for (let n = 1; ; n++) {
      await clock.sleep(beatMs, stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
      if (n % verifyEveryBeats === 0) {
        verifying = true;
        void pull();
      }
      const [text, bare] = [beat(n % checksumEveryBeats === 0), beat(false)];
      for (const outlet of outlets) outlet.send(outlet.section === undefined ? text : bare);
    }
  };

  /** An outlet that starts where the reader left off, inclusive; or why it cannot have one. */
  const open = async (from: number, section?: Section): Promise<Outlet | string> => {
    if (outlets.size >= readersMax) return `the feed has ${readersMax} readers, its limit`;
    if (mirror === undefined || from > mirror.revision) {
      const asked = clock.now();
      await Promise.race([pull(), clock.sleep(confirmTimeoutMs, stopping.signal).catch(() => {})]);
      if (mirror === undefined) return "the database has not been read yet";
      if (from > mirror.revision && heardAt < asked) {
        return `revision ${from} is not known here, and the database is away`;
      }
    }
    const outlet = new Outlet(() => outlets.delete(outlet), section);
    outlets.add(outlet);
    const first = recent[0]?.revision ?? mirror.revision + 1;
    if (from === 0 || from > mirror.revision || from < first - 1) {
      outlet.restart(mirror.revision, mirror.entries());
    } else {
      for (const { revision, text } of recent) if (revision >= from) outlet.commit(text);
    }
    // At once, so that a reader that resumed with a wrong copy learns of it now.
    outlet.send(beat(section === undefined));
    return outlet;
  };

  const read = async function* (from: number, signal: AbortSignal, section?: Section) {
    const outlet = await open(from, section);
    if (typeof outlet === "string") throw new NinesError("unavailable", outlet, { blame: "platform" });
    const onAbort = () => outlet.close();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      for (let text = await outlet.next(); text !== undefined; text = await outlet.next()) yield text;
    } finally {
      signal.removeEventListener("abort", onAbort);
      outlet.close();
    }
  };

  const hearing = store.onRevision((revision) => {
    heardAt = clock.now();
    if (mirror === undefined || revision !== mirror.revision) void pull();
  });
  const beating = beats();
  void pull();

  return {
    get revision() {
      return mirror?.revision ?? 0;
    },
    get readers() {
      return outlets.size;
    },
    staleMs: () => clock.now() - heardAt,

    async serve(request) {
      if (!isAllowed(request, options.secret)) return new Response("unauthorized\n", { status: 401 });
      const from = Number(new URL(request.url).searchParams.get("from") ?? "0");
      if (!Number.isSafeInteger(from) || from < 0)
        return new Response("from: not a revision\n", { status: 400 });
      const outlet = await open(from);
      if (typeof outlet === "string") return new Response(`${outlet}\n`, { status: 503 });
      request.signal?.addEventListener("abort", () => outlet.close(), { once: true });
      const headers = { "content-type": "application/x-ndjson", "cache-control": "no-store" };
      return new Response(toStream(outlet), { headers });
    },

    connector: { name: "own feed", open: read },
    watch: (section, from, signal) => read(from, signal, section),

    async [Symbol.asyncDispose]() {
      stopping.abort();
      hearing[Symbol.dispose]();
      for (const outlet of outlets) outlet.close();
      await Promise.all([beating, pulling]);
    },
  };
}

/** Pulled at the reader's pace, so that the outlet's queue is the only one and its bound holds. */
function toStream(outlet: Outlet): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const text = await outlet.next();
        if (text === undefined) controller.close();
        else controller.enqueue(encoder.encode(text));
      },
      cancel: () => outlet.close(),
    },
    { highWaterMark: 0 },
  );
}

function isAllowed(request: Request, secret: string): boolean {
  const given = Buffer.from(request.headers.get("authorization") ?? "");
  const right = Buffer.from(`Bearer ${secret}`);
  return given.length === right.length && timingSafeEqual(given, right);
}
