import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { until } from "../../src/std/until.ts";
import type { AlertReply, AssertReply } from "../../src/wire/asserts.ts";
import { startPlatform } from "../harness.ts";
import { times } from "../length.ts";
import { Hook } from "./meter.ts";

const patienceMs = 60_000;

test(
  "a platform that has just started, and is idle, raises no alarm; what an app does is asserted by its users",
  async () => {
    await using hook = new Hook();
    await using platform = await startPlatform();
    const json = async <T>(...args: string[]) =>
      JSON.parse((await platform.must(...args, "--json")).stdout) as T;
    await platform.must("alerts", "receivers", "add", "hook", hook.url, "--group-interval", "500ms");
    await until("all that is shipped is judged", patienceMs, async () => {
      const all = await json<AssertReply[]>("asserts");
      return all.find((one) => one.name === "nines.evaluator")?.verdict === "ok";
    });

    const server =
      "Bun.serve({ port: process.env.PORT, fetch: (r) => new Response('', { status: r.url.endsWith('bad') ? 500 : 200 }) });";
    const folder = platform.app("shop", {
      Procfile: `web: ${process.execPath} server.js\n`,
      "server.js": server,
    });
    await platform.must("deploy", folder, "-a", "shop");
    // The contract's form, with a space.
    const expr =
      'rate(http.requests{app="shop",status=~"5.*"}[5s]) / rate(http.requests{app="shop"}[5s]) < 0.5';
    await platform.must(
      "asserts",
      "add",
      expr,
      "--name",
      "shop-errors",
      "--for",
      "1s",
      "--no-data",
      "unknown",
    );
    const ask = async (path: string) => void (await platform.fetch("shop", { path }).catch(() => {}));
    const verdict = (wanted: string, path: string) =>
      until(`it is ${wanted}`, patienceMs, async () => {
        await ask(path);
        return (
          (await json<AssertReply[]>("asserts")).find((one) => one.name === "shop-errors")?.verdict === wanted
        );
      });
    await verdict("ok", "/good");
    // That a busy machine holds its processes up is no false alarm.
    const isFalse = (name: string) => name !== "nines.loop-lag";
    const firing = (await json<AlertReply[]>("alerts")).filter(
      (one) => one.state === "firing" && isFalse(one.name),
    );
    expect(firing.map((one) => `${one.name} ${one.annotations.description}`)).toEqual([]);
    const told = hook.told.flatMap(({ body }) =>
      body.alerts.map((one: { labels: { alertname: string } }) => one.labels.alertname),
    );
    expect(told.filter(isFalse)).toEqual([]);

    await verdict("violated", "/bad");
    await until("the webhook is told", patienceMs, async () => {
      await ask("/bad");
      return hook.of("shop-errors").length > 0;
    });
    expect(hook.of("shop-errors")[0]).toMatchObject({ labels: { app: "shop" } });
    // Each controller judges by its own clock, and may come to it a second after the one that told the webhook.
    const listed = await until("it is listed as firing", patienceMs, async () => {
      await ask("/bad");
      return (await json<AlertReply[]>("alerts")).find(
        (one) => one.name === "shop-errors" && one.state === "firing",
      );
    });
    expect(listed).toMatchObject({ threshold: 0.5 });

    await until("it would have fired", patienceMs, async () => {
      const tried = await json<{ firings: unknown[] }>("asserts", "test", "shop-errors", "--since", "5m");
      return tried.firings.length > 0;
    });
    const rules = (await platform.must("asserts", "export")).stdout;
    expect(rules).toContain("alert: shop-errors");
    const refused = await platform.nines("asserts", "add", "frob(x) < 1", "--name", "bad");
    expect({ code: refused.code, stderr: refused.stderr }).toMatchObject({
      code: 65,
      stderr: expect.stringContaining("assert bad.expr: column 1: there is no function frob"),
    });
    // Who is told is nobody's to read from a log.
    const logs = ["controller.1.log", "controller.2.log"].map((name) =>
      readFileSync(`${platform.home.log}/${name}`, "utf8"),
    );
    expect(logs.join("")).not.toContain(hook.url);
  },
  times(400_000, 600_000),
);
