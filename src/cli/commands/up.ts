/** `nines up`, `nines down`. */
import { existsSync } from "node:fs";
import type { Home } from "../../wire/home.ts";
import { Board } from "../board.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { readParts } from "../kernel.ts";
import type { Output } from "../output.ts";
import { toTook } from "../when.ts";

const watchIntervalMs = 500;

export const up = defineCommand({
  places: "",
  args: noArgs,
  flags: {
    detached: { kind: "switch", short: "d", summary: "return when it is up; it stays" },
    json: jsonFlag,
  },
  notes: "In the foreground it shows the parts until Ctrl-C, which stops the platform in order.",
  async run({ flags, env, out, home }) {
    const startedAt = performance.now();
    const { parseConfig } = await import("../../platform/config.ts");
    const platform = await import("../../platform/up.ts");
    const config = parseConfig(env);
    const board = new Board(out, flags.json || flags.detached);
    const asked = new AbortController();
    if (!flags.detached) {
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => asked.abort());
    }
    const result = await Promise.race([
      platform.up(config, (parts) => board.show(parts)),
      untilAborted(asked.signal),
    ]);
    if (result === undefined) return await stop(out, board, () => platform.down(config));
    const tookMs = performance.now() - startedAt;
    if (flags.json) out.json({ started: result.started, parts: result.parts });
    else {
      board.clear();
      const host = config.host === "127.0.0.1" ? "localhost" : config.host;
      out.line(
        result.started
          ? `Nines is up after ${toTook(tookMs)}, in ${home.root}`
          : `Nines is running already, in ${home.root}`,
      );
      out.line(`  apps  http://APP.localhost:${result.routerPort}`);
      out.line(`  API   http://${host}:${result.apiPort}`);
      if (result.newToken !== undefined) {
        out.line(`  token ${result.newToken}  (shown this once; kept in ${home.token})`);
      }
    }
    if (flags.detached) return 0;
    out.line(out.paint("dim", "Ctrl-C stops it in order."));
    const watching = watch(board, home, asked.signal);
    await Promise.race([platform.guard(config, asked.signal), watching]);
    if (asked.signal.aborted) return await stop(out, board, () => platform.down(config));
    asked.abort();
    await watching;
    board.clear();
    out.line("Nines is down: it was stopped by another command");
    return 0;
  },
});

export const down = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  async run({ flags, env, out, home }) {
    const { parseConfig } = await import("../../platform/config.ts");
    const platform = await import("../../platform/up.ts");
    const startedAt = performance.now();
    const stopped = existsSync(home.root) && (await platform.down(parseConfig(env)));
    if (flags.json) out.json({ stopped });
    else if (stopped) out.line(`Nines is down after ${toTook(performance.now() - startedAt)}`);
    else out.line(`Nines was not running in ${home.root}`);
    return 0;
  },
});

/** Shows the parts as they change, until asked to stop. */
async function watch(board: Board, home: Home, asked: AbortSignal): Promise<void> {
  while (!asked.aborted) {
    board.show((await readParts(home)).parts);
    await Promise.race([Bun.sleep(watchIntervalMs), untilAborted(asked)]);
  }
}

async function stop(out: Output, board: Board, down: () => Promise<boolean>): Promise<number> {
  board.close();
  out.line("Stopping …");
  await down();
  out.line("Nines is down");
  return 0;
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
