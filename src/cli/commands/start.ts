/** `nines start`, which is `npm start`: the platform, up and in the background, with an app to look at. */
import { request } from "node:http";
import { join } from "node:path";
import { NinesError, systemCode } from "../../std/errors.ts";
import { readJson } from "../../std/file.ts";
import type { AppsReply } from "../../wire/api.ts";
import type { Home } from "../../wire/home.ts";
import type { Client } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { followRollout } from "../follow.ts";
import type { Output } from "../output.ts";
import { untilReady } from "../ready.ts";
import { createReport, toFailure } from "../rollout.ts";
import { readTree } from "../tree.ts";
import { toTook } from "../when.ts";
import { send } from "./deploy.ts";

const exampleFolder = join(import.meta.dir, "../../../examples/hello");
const exampleApp = "hello";
const serveTimeoutMs = 30_000;
const probeTimeoutMs = 2_000;
const probePauseMs = 10;

export const start = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: "Does only what is still to do, so it may be called again.",
  async run({ flags, env, out, client, home }) {
    const startedAt = performance.now();
    const say = (text: string) => (flags.json ? undefined : out.line(text));
    const { parseConfig } = await import("../../platform/config.ts");
    const platform = await import("../../platform/up.ts");
    const config = parseConfig(env);
    const host = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
    const early = new AbortController();
    const served = watchEarly(home, host, early.signal).then(() => performance.now() - startedAt);
    const up = await platform.launch(config, platform.fewFirst);
    await untilReady(client).catch(async (error: unknown) => {
      // A part that does not start says more.
      await platform.complete(config);
      throw error;
    });
    const upMs = performance.now() - startedAt;
    say(
      up.started
        ? `Nines is up after ${toTook(upMs)}, in ${home.root}`
        : `Nines runs already, in ${home.root}`,
    );

    const app = await deployExample(client, out, flags.json);
    if (app !== undefined) await untilServed(host, up.routerPort, `${app}.localhost`);
    // It may have served while the other parts were still starting.
    const servedMs = await Promise.race([served, Promise.resolve(performance.now() - startedAt)]);
    early.abort();
    await platform.complete(config);
    const url = `http://${app ?? "APP"}.localhost:${up.routerPort}`;
    if (flags.json) {
      out.json({
        started: up.started,
        url,
        api: client.url,
        upMs: Math.round(upMs),
        servedMs: Math.round(servedMs),
      });
      return 0;
    }

    out.line();
    out.line(`  ${out.paint("bold", url)}`);
    if (app !== undefined && up.started) {
      out.line(`  ${toTook(servedMs)} from the start of Nines to the first request served`);
    }
    out.line(`  API     ${client.url}`);
    if (up.newToken !== undefined) {
      out.line(`  token   ${up.newToken}  (shown this once; kept in ${home.token})`);
    }
    const a = app === undefined ? "" : ` -a ${app}`;
    out.line(`  see     ./bin/nines status; ./bin/nines ps; ./bin/nines logs${a} -t`);
    out.line("  stop    npm run stop");
    return 0;
  },
});

/** Deploys the example the first time. The app to show, or undefined where the user has only apps of their own. */
async function deployExample(client: Client, out: Output, quiet: boolean): Promise<string | undefined> {
  const { apps } = await client.json<AppsReply>("/v1/apps");
  const example = apps.find((app) => app.name === exampleApp);
  if (example !== undefined && example.release !== null) return exampleApp;
  if (example === undefined && apps.length > 0) return undefined;
  const rollout = await send(client, out, exampleApp, readTree(exampleFolder), true);
  const end = await followRollout(client, rollout, quiet ? () => {} : createReport(out));
  if (end.state === "failed") throw toFailure(end);
  return exampleApp;
}

/** Resolves when the example of an earlier start answers; never when there is none. */
async function watchEarly(home: Home, host: string, signal: AbortSignal): Promise<void> {
  const ports = readJson(home.ports);
  const port = ports.kind === "value" ? (ports.value as Record<string, number>).router : undefined;
  while (port !== undefined && !signal.aborted) {
    const status = await probe(host, port, `${exampleApp}.localhost`).catch(() => 0);
    if (status >= 200 && status < 400) return;
    await Bun.sleep(probePauseMs);
  }
  await Promise.withResolvers<never>().promise;
}

/** Resolves when the routers take a request for the host to an instance. */
async function untilServed(host: string, port: number, name: string): Promise<void> {
  const deadline = performance.now() + serveTimeoutMs;
  for (let last = "no answer"; ; ) {
    try {
      const status = await probe(host, port, name);
      // The app's own answers count, whatever they say; 502 to 504 are the routers' own.
      if (status < 502 || status > 504) return;
      last = `status ${status}`;
    } catch (error) {
      last = systemCode(error) ?? String(error);
    }
    if (performance.now() > deadline) {
      throw new NinesError("timeout", `${name} does not answer through the routers: ${last}`, {
        hint: "nines ps and nines status show what runs",
      });
    }
    await Bun.sleep(probePauseMs);
  }
}

/** Names the host itself, as APP.localhost is not known to every resolver. */
function probe(host: string, port: number, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host, port, path: "/", headers: { host: `${name}:${port}` }, agent: false, timeout: probeTimeoutMs },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
    asked.on("error", reject);
    asked.end();
  });
}
