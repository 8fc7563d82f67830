/** The access log: Heroku's line, batched. Fields that do not apply are there and empty. */
import type { Clock } from "../std/clock.ts";
import { type MeshCode, meshErrors } from "./errors.ts";
import { Pen } from "./pen.ts";
import type { Wall } from "./wall.ts";

/** How an exchange went. */
export interface Entry {
  readonly app: string;
  /** Of the instance, or what would have got the request; 0 when there is none. */
  readonly release: number;
  /** That brought it to this release; empty when none did. */
  readonly stage: string;
  readonly code: MeshCode | "";
  /** What was wrong with a message that was refused. */
  readonly cause: string;
  readonly instance: string;
  /** Negative when there was none. */
  readonly connectMs: number;
  readonly serviceMs: number;
  readonly status: number;
  readonly bytes: number;
}

/** What a line says of the request; empty where nothing could be read. */
export interface Named {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly id: string;
  readonly fwd: string;
  readonly protocol: "http" | "https";
}

/** Bytes held before they are written, even if the tick is not due. */
const batchBytes = 65_536;
const flushMs = 100;
/** What a line is beside what the client chose of it. */
const ownBytes = 2_048;

export class AccessLog implements Disposable {
  readonly #write: (lines: Buffer) => void;
  readonly #clock: Clock;
  readonly #wall: Wall;
  readonly #pen = new Pen(Buffer.allocUnsafeSlow(2 * batchBytes));
  #timer: Disposable | null = null;
  #second = -1;
  #prefix = "";

  /** `write` gets whole lines, in bytes that are its own. */
  constructor(write: (lines: Buffer) => void, clock: Clock, wall: Wall) {
    this.#write = write;
    this.#clock = clock;
    this.#wall = wall;
  }

  /** `now` is the clock's, when the exchange ended. */
  add(named: Named, entry: Entry, now: number): void {
    const { code, app, cause, status, bytes } = entry;
    const { method, path, host, id, fwd, protocol } = named;
    const pen = this.#pen;
    this.#makeRoom(method.length + host.length + id.length + 4 * (path.length + fwd.length) + ownBytes);
    this.#writeTime(now);
    if (code === "") {
      pen.text(" nines[router]: at=info app=");
      pen.text(app);
    } else {
      const { at, desc } = meshErrors[code];
      pen.text(` nines[router]: at=${at} app=${app} code=${code} desc="${desc}"`);
    }
    if (cause !== "") pen.text(` cause="${cause}"`);
    pen.text(" method=");
    pen.text(method);
    pen.text(' path="');
    pen.text(toQuoted(path));
    pen.text('" host=');
    pen.text(host);
    pen.text(" request_id=");
    pen.text(id);
    pen.text(' fwd="');
    pen.text(toQuoted(fwd));
    pen.text('" instance=');
    pen.text(entry.instance);
    pen.text(" connect=");
    this.#writeMs(entry.connectMs);
    pen.text(" service=");
    this.#writeMs(entry.serviceMs);
    pen.text(" status=");
    pen.number(status);
    pen.text(" bytes=");
    pen.number(bytes);
    pen.text(protocol === "http" ? " protocol=http\n" : " protocol=https\n");
    if (pen.at >= batchBytes) this.flush();
    else this.#timer ??= this.#clock.after(flushMs, () => this.flush());
  }

  flush(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    const { bytes, at } = this.#pen;
    if (at === 0) return;
    this.#pen.at = 0;
    this.#write(Buffer.from(bytes.subarray(0, at)));
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  #makeRoom(bytes: number): void {
    const pen = this.#pen;
    if (pen.at + bytes <= pen.bytes.length) return;
    this.flush();
    if (bytes > pen.bytes.length) pen.bytes = Buffer.allocUnsafeSlow(bytes);
  }

  /** Wall time to the microsecond, ISO 8601. */
  #writeTime(now: number): void {
    const wall = this.#wall.toMs(now);
    const second = Math.floor(wall / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = new Date(second * 1_000).toISOString().slice(0, 20);
    }
    this.#pen.text(this.#prefix);
    this.#pen.digits(Math.floor((wall - second * 1_000) * 1_000), 6);
    this.#pen.text("+00:00");
  }

  #writeMs(ms: number): void {
    if (ms < 0) return;
    this.#pen.number(Math.round(ms));
    this.#pen.text("ms");
  }
}

/** Nothing that a client sent may end the quotes or the line. */
function toQuoted(text: string): string {
  if (!/["\\\x00-\x1f\x7f-\xff]/.test(text)) return text;
  return text.replace(/["\\]/g, "\\$&").replace(/[\x00-\x1f\x7f-\xff]/g, toEscape);
}

function toEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
