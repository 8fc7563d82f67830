/** `nines logs`: what an app's instances wrote, what Nines says about them, and the requests. */
import { NinesError } from "../../std/errors.ts";
import { type Client, path } from "../client.ts";
import { appFlags, defineCommand, noArgs } from "../command.ts";
import { toLines } from "../follow.ts";
import { UsageError } from "../usage.ts";

const linesDefault = 100;
const linesMax = 1_500;
/** While it tails, the controller sends an empty line every 5 s. */
const silenceMs = 12_000;
const reconnectPauseMs = 300;
/** With no controller for so long, it gives up. */
const unheardMs = 60_000;
const sources = ["app", "nines", "router"];

export const logs = defineCommand({
  places: "",
  args: noArgs,
  flags: {
    ...appFlags,
    num: {
      kind: "number",
      short: "n",
      value: "N",
      min: 1,
      max: linesMax,
      summary: "lines to begin with (100)",
    },
    tail: { kind: "switch", short: "t", summary: "go on with new lines as they come" },
    source: { kind: "text", short: "s", value: "SOURCE", summary: "only app, nines or router" },
    ps: { kind: "text", short: "p", value: "NAME", summary: "only web, or only web.1" },
  },
  async run({ flags, app, out, client }) {
    if (flags.source !== undefined && !sources.includes(flags.source)) {
      throw new UsageError(`"${flags.source}" is not a source of lines`, "one of app, nines, router");
    }
    const query = {
      ...(flags.source === undefined ? {} : { source: flags.source }),
      ...(flags.ps === undefined ? {} : { ps: flags.ps }),
    };
    const place = path`/v1/apps/${app()}/logs`;
    const count = flags.num ?? linesDefault;
    const show = (line: string) => (flags.json ? out.json(toRecord(line)) : out.line(line));
    if (flags.tail) return await tail(client, show, place, query, count);
    const response = await client.send(`${place}?${new URLSearchParams({ ...query, n: String(count) })}`);
    for await (const line of toLines(response.body)) if (line !== "") show(line);
    return 0;
  },
});

/** Survives its controller: asks the next one for as much as there is, and skips what was shown. */
async function tail(
  client: Client,
  show: (line: string) => void,
  place: string,
  query: Readonly<Record<string, string>>,
  count: number,
): Promise<number> {
  const shown = new Shown();
  let heardAt = performance.now();
  for (let first = true; ; first = false) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    try {
      const n = String(first ? count : linesMax);
      const response = await client.send(`${place}?${new URLSearchParams({ ...query, n, tail: "1" })}`, {
        timeoutMs: 0,
        signal: silence.signal,
      });
      for await (const line of toLines(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
        heardAt = performance.now();
        if (line !== "" && shown.isNew(line)) show(line);
      }
    } catch (error) {
      if (error instanceof NinesError && !error.retryable) throw error;
      if (performance.now() - heardAt > unheardMs) throw error;
    } finally {
      clearTimeout(timer);
    }
    await Bun.sleep(reconnectPauseMs);
  }
}

/** `2026-…+00:00 app[web.1]: text` in its parts. */
export function toRecord(line: string): Readonly<Record<string, string>> {
  const parts = /^(\S+) (\w+)\[([^\]]*)\]: ?(.*)$/s.exec(line);
  if (parts === null) return { message: line };
  const [, at = "", source = "", process = "", message = ""] = parts;
  return { at, source, process, message };
}

/** Remembers the last `max` lines, so that a stream that starts again does not repeat them. */
export class Shown {
  readonly #lines = new Set<string>();
  readonly #max: number;

  constructor(max: number = linesMax * 2) {
    this.#max = max;
  }

  /** Lines carry their time in microseconds, so two equal ones are one. */
  isNew(line: string): boolean {
    if (this.#lines.has(line)) return false;
    this.#lines.add(line);
    for (const oldest of this.#lines) {
      if (this.#lines.size <= this.#max) break;
      this.#lines.delete(oldest);
    }
    return true;
  }
}
