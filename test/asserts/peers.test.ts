import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAssert, shippedAsserts, toBody, toFingerprint, toRules } from "../../src/metrics/asserts.ts";
import { withMail } from "../../src/platform/mail-sender.ts";
import { until } from "../../src/std/until.ts";
import type { AlertRecord } from "../../src/wire/asserts.ts";
import { defaultTarget } from "../../src/wire/records.ts";
import { freePort } from "../postgres.ts";

const promtool = Bun.which("promtool");
const alertmanager = Bun.which("prometheus-alertmanager");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nines-asserts-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
if (promtool === null) console.log("promtool is absent: what it would check is skipped");
if (alertmanager === null) console.log("prometheus-alertmanager is absent: what it would take is skipped");

const promqlTest = `
rule_files: [rules.yml]
evaluation_interval: 1s
tests:
  - interval: 1s
    input_series:
      - series: 'shop_level{app="shop"}'
        values: '10x20 70x20 10x20'
    alert_rule_test:
      - eval_time: 20s
        alertname: level
        exp_alerts: []
      - eval_time: 35s
        alertname: level
        exp_alerts:
          - exp_labels: { severity: warning, app: shop }
            exp_annotations: { summary: 'assert violated: max(shop.level{app="shop"}) < 50' }
      - eval_time: 55s
        alertname: level
        exp_alerts: []
      - eval_time: 5s
        alertname: gone
        exp_alerts:
          - exp_labels: { severity: warning }
            exp_annotations: { summary: 'assert violated: sum(shop.gone) > 10' }
`;

describe.skipIf(promtool === null)("Prometheus", () => {
  test("promtool takes the rules of every kind of expression, and those that are shipped", async () => {
    const { stringify } = await import("yaml");
    const kinds: Record<string, string> = { h: "histogram", c: "counter", g: "gauge" };
    const expressions = ["h", "c", "g"].flatMap((metric) => [
      ...["sum", "avg", "min", "max", "count", "age", "p99", "rate", "increase"].flatMap((name) => [
        `${name}(${metric}{app="shop",code=~"5..",x!="y",z!~"a|b"}, 5m) < 1`,
        `${name}(${metric}) > 1 and max(g) * 2 - -1 != 3 or min(g) == 1`,
      ]),
    ]);
    const shipped = [...shippedAsserts].map(([name, record]) => parseAssert(name, record));
    const made = expressions.map((expr, index) =>
      parseAssert(`e${index}`, {
        expr,
        forMs: index * 500,
        noData: index % 2 === 0 ? "violated" : "ok",
        runbook: "http://x",
      }),
    );
    const rules = join(folder, "all.yml");
    writeFileSync(
      rules,
      stringify(
        toRules([...shipped, ...made], (metric) => kinds[metric]),
        { lineWidth: 0 },
      ),
    );
    const ran = Bun.spawnSync([promtool!, "check", "rules", rules]);
    expect(ran.stdout.toString() + ran.stderr.toString()).toContain(
      `SUCCESS: ${shipped.length + made.length} rules found`,
    );
  });
  test("promtool's own alerts fire and end as the assert says, and when there is no data", async () => {
    const { stringify } = await import("yaml");
    const all = [
      parseAssert("level", { expr: 'max(shop.level{app="shop"}) < 50', forMs: 5_000 }),
      parseAssert("gone", { expr: "sum(shop.gone) > 10" }),
    ];
    writeFileSync(
      join(folder, "rules.yml"),
      stringify(
        toRules(all, () => "gauge"),
        { lineWidth: 0 },
      ),
    );
    writeFileSync(join(folder, "test.yml"), promqlTest);
    const ran = Bun.spawnSync([promtool!, "test", "rules", "test.yml"], { cwd: folder });
    expect(ran.stdout.toString() + ran.stderr.toString()).toContain("SUCCESS");
  });
});

const alert = (state: "firing" | "resolved"): AlertRecord => ({
  name: "level",
  state,
  since: new Date().toISOString(),
  startsAt: new Date(Date.now() - 5_000).toISOString(),
  endsAt: state === "resolved" ? new Date().toISOString() : null,
  labels: { alertname: "level", app: "shop", severity: "critical" },
  annotations: { summary: 'violated: max(shop.level{app="shop"}) < 50' },
  value: 70,
  threshold: 50,
  inhibits: [],
});
const notice = (one: AlertRecord) => ({
  group: { id: "g", key: "{}", labels: { app: "shop" }, alerts: new Map() },
  alerts: new Map([[toFingerprint(one.labels), one]]),
  record: { at: "", firing: {}, number: 1 },
  idempotencyKey: "k",
});
const addressing = { receiver: "hook", externalUrl: "http://127.0.0.1:1" };

describe.skipIf(alertmanager === null)("Debian's Alertmanager", () => {
  test("takes our alerts, calls them by our fingerprint, tells them on in the shape of our webhook, and ends them", async () => {
    const told: unknown[] = [];
    await using hook = serve(async (request) => void told.push(await request.json()));
    const config = `route: { receiver: hook, group_by: [app], group_wait: 0s, group_interval: 1s }
receivers: [{ name: hook, webhook_configs: [{ url: "http://127.0.0.1:${hook.port}/" }] }]\n`;
    writeFileSync(join(folder, "alertmanager.yml"), config);
    const port = await freePort();
    const child = Bun.spawn(
      [
        alertmanager!,
        `--config.file=${join(folder, "alertmanager.yml")}`,
        `--storage.path=${join(folder, "am")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--cluster.listen-address=",
      ],
      { stdout: "ignore", stderr: "ignore" },
    );
    try {
      const base = `http://127.0.0.1:${port}`;
      await until("it is ready", 60_000, async () => (await fetch(`${base}/-/ready`)).ok);
      const post = async (state: "firing" | "resolved") => {
        const body = toBody("alertmanager", notice(alert(state)), addressing);
        const headers = { "content-type": "application/json" };
        expect((await fetch(`${base}/api/v2/alerts`, { method: "POST", headers, body })).status).toBe(200);
      };
      await post("firing");
      const [known] = (await (await fetch(`${base}/api/v2/alerts`)).json()) as { fingerprint: string }[];
      expect(known?.fingerprint).toBe(toFingerprint(alert("firing").labels));
      const theirs = (await until("it tells of it", 60_000, () => told[0])) as { alerts: object[] };
      const ours = JSON.parse(toBody("webhook", notice(alert("firing")), addressing));
      expect(Object.keys(ours).sort()).toEqual(Object.keys(theirs).sort());
      expect(Object.keys(ours.alerts[0]).sort()).toEqual(Object.keys(theirs.alerts[0]!).sort());
      await post("resolved");
      await until("and of its end", 60_000, () => (told.at(-1) as { status: string }).status === "resolved");
    } finally {
      child.kill();
      await child.exited;
    }
  });
});

describe("mail", () => {
  const mail = toBody("smtp", notice(alert("firing")), addressing);
  const send = (url: string, body = mail) =>
    withMail(async () => ({ kind: "delivered" }))(
      {
        target: "nines.alerts.mail",
        record: { ...defaultTarget, url, timeoutMs: 5_000 },
        token: 1,
        write: {
          id: 1,
          key: undefined,
          idempotencyKey: "alert-1",
          headers: {},
          body: Buffer.from(body),
          attempts: 0,
          ageMs: 0,
          waitMs: 0,
        },
      },
      new AbortController().signal,
    );

  test("reaches a mail server, from and to whom the URL says", async () => {
    await using server = await startMailServer("250 taken");
    expect(await send(`smtp://127.0.0.1:${server.port}?from=nines@example.com&to=me@example.com`)).toEqual({
      kind: "delivered",
    });
    expect(server.said).toContain("MAIL FROM:<nines@example.com>");
    expect(server.said).toContain("RCPT TO:<me@example.com>");
    expect(server.said).toContain("Subject: [firing: 1] level");
    expect(server.said).toContain("70 (threshold 50)");
  });
  test("a server that is busy is down; one that will never take it has refused it; nobody there is down", async () => {
    await using busy = await startMailServer("451 later");
    await using never = await startMailServer("550 never");
    const to = (port: number) => `smtp://127.0.0.1:${port}?from=a@example.com&to=b@example.com`;
    expect((await send(to(busy.port))).kind).toBe("down");
    expect((await send(to(never.port))).kind).toBe("refused");
    expect((await send(to(await freePort()))).kind).toBe("down");
    expect((await send(to(busy.port), "no mail")).kind).toBe("refused");
  });
});

function serve(take: (request: Request) => Promise<void>) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      await take(request);
      return new Response();
    },
  });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** The other side of SMTP, as far as one mail needs it; answers a whole mail as told. */
async function startMailServer(verdict: string) {
  let said = "";
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let inMail = false;
    let pending = "";
    socket.on("error", () => {});
    socket.write("220 test ESMTP\r\n");
    socket.on("data", (chunk) => {
      said += chunk.toString();
      pending += chunk.toString();
      for (;;) {
        const end = pending.indexOf("\r\n");
        if (end < 0) return;
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        if (inMail) {
          if (line !== ".") continue;
          inMail = false;
          socket.write(`${verdict}\r\n`);
        } else if (line === "DATA") {
          inMail = true;
          socket.write("354 go on\r\n");
        } else socket.write(line.startsWith("QUIT") ? "221 bye\r\n" : "250 ok\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    get said() {
      return said;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
