/** Clients and brokers over TLS, with certificates made on the spot. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import { startBroker } from "./broker.ts";
import { type Bus, type BusOptions, startBus } from "./bus.ts";
import { type BrokerProcess, drivers, quiet, secret, spawnBroker, until } from "./harness.ts";
import type { BrokerTls } from "./secure.ts";
import { WireClient } from "./wire-client.ts";

const require = createRequire(import.meta.url);
/** Makes the certificates; without it these tests are skipped. */
const hasOpenssl = Bun.which("openssl") !== null;
let folder: string;
let mine: BrokerTls;
let strange: BrokerTls;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nines-bus-tls-"));
  if (!hasOpenssl) return;
  mine = makeCertificate("mine");
  strange = makeCertificate("strange");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Of 127.0.0.1, and its own signer. */
function makeCertificate(name: string): BrokerTls {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=broker";
  const args = [...made.split(" "), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert];
  execFileSync("openssl", args, { stdio: "ignore" });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

/** What a broker's process needs to speak TLS. */
const toEnv = (name: string) => ({
  BUS_CERT: join(folder, `${name}.crt`),
  BUS_KEY: join(folder, `${name}.key`),
});

async function open(broker: BrokerProcess, options: Partial<BusOptions>): Promise<Bus> {
  return startBus({
    brokers: async () => [broker.address],
    secret,
    sender: "client",
    clock: systemClock,
    random: Math.random,
    log: quiet,
    ...options,
  });
}

for (const driver of drivers) {
  describe.skipIf(!hasOpenssl)(driver, () => {
    test("messages go both ways, with the secret, large ones too, and again after the broker was killed", async () => {
      await using broker = await spawnBroker("broker.1", toEnv("mine"), driver);
      await using bus = await open(broker, { driver, tls: { ca: mine.cert } });
      const heard: string[] = [];
      const subscription = bus.subscribe(
        "t",
        "c",
        ({ n = "", body = "" }) => void heard.push(`${n} ${body.length}`),
      );
      expect(await subscription.whenJoined(30_000)).toBe(true);
      for (const n of ["1", "2"]) await bus.publish("t", { n, body: "x".repeat(500_000) });
      await until("both are heard", () => heard.length === 2);
      await broker.restart();
      await until("it is used again", () => bus.state().brokers[0]?.state === "connected");
      await bus.publish("t", { n: "3" });
      await until("the third is heard", () => heard.includes("3 0"));
      expect(heard.toSorted()).toEqual(["1 500000", "2 500000", "3 0"]);
    }, 120_000);

    test("a broker whose certificate somebody else signed is not talked to", async () => {
      await using broker = await spawnBroker("broker.1", toEnv("strange"), driver);
      await using bus = await open(broker, { driver, tls: { ca: mine.cert } });
      await until("it is refused", () =>
        /certificate|self.signed/i.test(bus.state().brokers[0]?.reason ?? ""),
      );
      await expect(bus.publish("t", { n: "1" }, { deadlineMs: 300 })).rejects.toThrow("no broker");
    }, 120_000);

    test("a broker that does not speak TLS is not talked to in the clear", async () => {
      await using broker = await spawnBroker("broker.1", {}, driver);
      await using bus = await open(broker, { driver, tls: { ca: mine.cert } });
      await until("it is refused", () => /tls/i.test(bus.state().brokers[0]?.reason ?? ""));
      await expect(bus.publish("t", { n: "1" }, { deadlineMs: 300 })).rejects.toThrow("no broker");
    }, 120_000);
  });
}

describe.skipIf(!hasOpenssl)("the embedded broker", () => {
  const start = (tls: BrokerTls | undefined, host = "127.0.0.1") =>
    startBroker({ host, port: 0, secret, tls, clock: systemClock, log: quiet });
  const greeting = Buffer.from(JSON.stringify({ feature_negotiation: true, tls_v1: true }));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(greeting.length);
  const identify = Buffer.concat([Buffer.from("IDENTIFY\n"), size, greeting]);

  test("is not started beyond this machine without a certificate, nor with one that is none", async () => {
    await expect(start(undefined, "0.0.0.0")).rejects.toThrow("needs a certificate");
    await expect(start({ cert: "no", key: "certificate" })).rejects.toThrow("cannot be used");
    await expect(start({ cert: mine.cert, key: strange.key })).rejects.toThrow("cannot be used");
  });

  test("on this machine still serves who asks for no TLS", async () => {
    await using broker = await start(mine);
    await using client = await WireClient.greet(broker.port, secret);
    expect(await client.say("PUB t", "x")).toBe("OK");
    expect(broker.stats().sessions[0]?.tls).toBe(false);
  });

  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4")?.address;
  test.skipIf(outside === undefined)(
    "to who does not come from this machine it speaks through TLS alone",
    async () => {
      await using broker = await start(mine, "0.0.0.0");
      const address = { id: "broker.1", host: outside as string, port: broker.port };
      const brokers = async () => [address];
      const common = {
        brokers,
        secret,
        sender: "client",
        clock: systemClock,
        random: Math.random,
        log: quiet,
      };
      await using clear = await startBus(common);
      await until("it is refused", () => /TLS required/.test(clear.state().brokers[0]?.reason ?? ""));
      await using secured = await startBus({ ...common, tls: { ca: mine.cert, name: "127.0.0.1" } });
      await secured.publish("t", { n: "1" });
      await until("only that one is in", () => broker.stats().sessions.every((session) => session.tls));
    },
  );

  test("hangs up on what was sent in the clear behind the wish for TLS", async () => {
    await using broker = await start(mine);
    await using client = await WireClient.open(
      broker.port,
      Buffer.concat([Buffer.from("  V2"), identify, Buffer.from("NOP\n")]),
    );
    await until("it hung up", () => client.closed);
    expect(broker.stats().sessions).toEqual([]);
  });

  test("lets go of who wants TLS and then sends garbage, or nothing", async () => {
    const limits = { greetingTimeoutMs: 1_500 };
    await using broker = await startBroker({
      host: "127.0.0.1",
      port: 0,
      tls: mine,
      clock: systemClock,
      log: quiet,
      limits,
    });
    await using garbage = await WireClient.open(broker.port, "  V2", identify);
    expect(await garbage.text()).toContain('"tls_v1":true');
    garbage.socket.write("this is no handshake\n".repeat(10));
    await until("it hung up", () => garbage.closed);
    await using silent = await WireClient.open(broker.port, "  V2", identify);
    expect(await silent.text()).toContain('"tls_v1":true');
    await until("it hung up", () => silent.closed);
    expect(broker.stats().sessions).toEqual([]);
  });

  test("serves nsqjs with its own TLS", async () => {
    const { Writer, Reader } = require("nsqjs");
    await using broker = await startBroker({
      host: "127.0.0.1",
      port: 0,
      tls: mine,
      clock: systemClock,
      log: quiet,
    });
    const tls = { tls: true, ca: Buffer.from(mine.cert) };
    const writer = new Writer("127.0.0.1", broker.port, tls);
    writer.connect();
    await new Promise((resolve, reject) => writer.on("ready", resolve).on("error", reject));
    await new Promise<void>((resolve, reject) =>
      writer.publish("t", "through TLS", (error?: Error) => (error ? reject(error) : resolve())),
    );
    const reader = new Reader("t", "c", { nsqdTCPAddresses: [`127.0.0.1:${broker.port}`], ...tls });
    const heard: string[] = [];
    reader.on("message", (message: { body: Buffer; finish(): void }) => {
      heard.push(message.body.toString());
      message.finish();
    });
    reader.connect();
    await until("it is heard", () => heard.length === 1);
    expect(heard).toEqual(["through TLS"]);
    expect(broker.stats().sessions.map((session) => session.tls)).toEqual([true, true]);
    reader.close();
    writer.close();
  });
});
