import { describe, expect, test } from "bun:test";
import type { AlertRecord, NoticeRecord } from "../wire/asserts.ts";
import { toBody } from "./bodies.ts";
import { toFingerprint } from "./fingerprint.ts";
import { nextNotice, toGroups } from "./notice.ts";
import { parseReceiver, toMasked, toTargets } from "./receiver.ts";
import { toSuppressions } from "./suppression.ts";

const start = Date.UTC(2030, 0, 1);
const alert = (labels: Record<string, string>, rest: Partial<AlertRecord> = {}): AlertRecord => ({
  name: labels.alertname ?? "",
  state: "firing",
  since: new Date(start).toISOString(),
  startsAt: new Date(start).toISOString(),
  endsAt: null,
  labels,
  annotations: {},
  value: 70,
  threshold: 50,
  inhibits: [],
  ...rest,
});
const toMap = (...all: readonly AlertRecord[]) => new Map(all.map((one) => [toFingerprint(one.labels), one]));
const ended = { state: "resolved", endsAt: new Date(start + 9_000).toISOString() } as const;
const hook = parseReceiver("ops", { kind: "webhook", urls: ["http://localhost:1/hook"] });
const none = new Map();

const next = (
  alerts: ReadonlyMap<string, AlertRecord>,
  afterMs: number,
  told?: NoticeRecord,
  receiver = hook,
  suppressions = none,
) => {
  const [group] = toGroups(receiver, "ops", alerts);
  return group && nextNotice(receiver, "ops", group, told, suppressions, start + afterMs);
};

describe("when a group is told of", () => {
  const slow = alert({ alertname: "slow", app: "shop" });
  test("the first alert waits for others of its group, and no longer", () => {
    expect(next(toMap(slow), 150)).toBeUndefined();
    expect(next(toMap(slow), 500)?.alerts.size).toBe(1);
  });
  test("a notice that was sent and not noted is made again, with the same key", () => {
    expect(next(toMap(slow), 500)?.idempotencyKey).toBe(next(toMap(slow), 3_000)!.idempotencyKey);
  });
  test("what has not changed is repeated after the repeat interval alone", () => {
    const { record } = next(toMap(slow), 500)!;
    expect(next(toMap(slow), 10_000, record)).toBeUndefined();
    const again = next(toMap(slow), 500 + hook.repeatIntervalMs, record);
    expect(again?.alerts.size).toBe(1);
    expect(again?.idempotencyKey).not.toBe(next(toMap(slow), 500)!.idempotencyKey);
  });
  test("what has changed is told of after the group interval; what ended, once", () => {
    const { record } = next(toMap(slow), 500)!;
    const over = toMap({ ...slow, ...ended });
    expect(next(over, 9_000, record)).toBeUndefined();
    const told = next(over, 10_500, record)!;
    expect([...told.alerts.values()].map((one) => one.state)).toEqual(["resolved"]);
    expect(next(over, 60_000, told.record)).toBeUndefined();
  });
  test("what ended before anybody was told is not told of", () => {
    expect(next(toMap({ ...slow, ...ended }), 10_000)).toBeUndefined();
  });
  test("an alert that ended and fires again is told of again", () => {
    const { record } = next(toMap(slow), 500)!;
    const again = { ...slow, startsAt: new Date(start + 60_000).toISOString() };
    expect(next(toMap(again), 61_000, record)?.alerts.size).toBe(1);
  });
  test("a notice that a clock a minute ahead has noted holds nothing back", () => {
    const { record } = next(toMap(slow), 500)!;
    const ahead = { ...record, at: new Date(start + 60_000).toISOString() };
    const both = toMap(slow, alert({ alertname: "slow", app: "shop", code: "5" }));
    expect(next(both, 2_000, ahead)?.alerts.size).toBe(2);
    expect(next(toMap(slow), 2_000, ahead)).toBeUndefined();
    const future = { ...slow, startsAt: new Date(start + 60_000).toISOString() };
    expect(next(toMap(future), 0)?.alerts.size).toBe(1);
  });
  test("an Alertmanager is told each minute, with one key while it does not answer", () => {
    const kind = parseReceiver("am", { kind: "alertmanager", urls: ["http://a:1", "http://b:1/"] });
    const first = next(toMap(slow), 0, undefined, kind)!;
    const second = next(toMap(slow), 60_000, first.record, kind)!;
    expect(second.idempotencyKey).toBe(first.idempotencyKey);
    expect(toTargets("am", kind).map((one) => one.url)).toEqual([
      "http://a:1/api/v2/alerts",
      "http://b:1/api/v2/alerts",
    ]);
  });
});

describe("what is held back", () => {
  const slow = alert({ alertname: "slow", app: "shop" });
  const silence = {
    matchers: 'app="shop"',
    by: "me",
    why: "x",
    createdAt: "",
    expiresAt: new Date(start + 5_000).toISOString(),
  };
  test("a silence holds notices back until it ends", () => {
    const silences = new Map([["s", silence]]);
    expect(
      next(
        toMap(slow),
        1_000,
        undefined,
        hook,
        toSuppressions(toMap(slow), silences, start + 1_000) as never,
      ),
    ).toBeUndefined();
    expect(toSuppressions(toMap(slow), silences, start + 6_000).size).toBe(0);
  });
  test("an alert that explains others holds them back, but not itself", () => {
    const down = alert({ alertname: "node-down" }, { inhibits: ['app=~".+"', 'alertname="node-down"'] });
    const found = toSuppressions(toMap(slow, down), none, start);
    expect([...found.values()]).toEqual([{ silencedBy: null, inhibitedBy: "node-down" }]);
    expect(toSuppressions(toMap(slow, { ...down, ...ended }), none, start).size).toBe(0);
  });
  test("one that is silenced after it was told of is not said to be resolved", () => {
    const { record } = next(toMap(slow), 500)!;
    const suppressed = toSuppressions(toMap(slow), new Map([["s", silence]]), start) as never;
    expect(next(toMap(slow), 60_000, record, hook, suppressed)).toBeUndefined();
  });
});

describe("bodies", () => {
  const made = next(toMap(alert({ alertname: "slow", app: "shop", severity: "critical" })), 500)!;
  const addressing = { receiver: "ops", externalUrl: "http://nines:1" };
  test("the webhook's is Alertmanager's, version 4", () => {
    const body = JSON.parse(toBody("webhook", made, addressing));
    expect(Object.keys(body).sort()).toEqual(
      "alerts commonAnnotations commonLabels externalURL groupKey groupLabels receiver status truncatedAlerts version".split(
        " ",
      ),
    );
    expect(body).toMatchObject({
      version: "4",
      status: "firing",
      groupLabels: { app: "shop", alertname: "slow" },
    });
    expect(Object.keys(body.alerts[0]).sort()).toEqual(
      "annotations endsAt fingerprint generatorURL labels startsAt status".split(" "),
    );
  });
  test("Slack and mail say what fires, and the measured value", () => {
    const slack = JSON.parse(toBody("slack", made, addressing));
    expect(slack).toMatchObject({ text: "[firing: 1] slow", attachments: [{ color: "danger" }] });
    expect(slack.attachments[0].text).toContain("70 (threshold 50)");
    expect(JSON.parse(toBody("smtp", made, addressing)).subject).toBe("[firing: 1] slow");
  });
});

describe("receivers", () => {
  test.each([
    [
      { kind: "pigeon", urls: [] },
      "receiver ops.kind: expected one of webhook, alertmanager, slack, smtp, heartbeat",
    ],
    [{ kind: "webhook", urls: [] }, "receiver ops.urls: expected one address, found 0"],
    [{ kind: "webhook", urls: ["ftp://secret/x"] }, "receiver ops.urls: expected http:// or https://"],
    [{ kind: "smtp", urls: ["smtp://u:secret@host"] }, "does not say from whom and to whom"],
    [{ kind: "webhook", urls: ["http://x"], matchers: "{app" }, "receiver ops.matchers: column 5"],
    [
      { kind: "webhook", urls: ["http://x"], groupWaitMs: -1 },
      "receiver ops.groupWaitMs: expected a number from 0",
    ],
  ])("%j is refused with path and reason, and without the address", (value, expected) => {
    expect(() => parseReceiver("ops", value)).toThrow(expected);
    try {
      parseReceiver("ops", value);
    } catch (error) {
      expect(String(error)).not.toContain("secret");
    }
  });
  test("an address is shown without its secrets", () => {
    expect(toMasked("https://hooks.example.com/services/T0/B0/secret?token=secret")).toBe(
      "https://hooks.example.com/…",
    );
    expect(toMasked("smtp://me:secret@mail.example.com:587?from=a&to=b")).toBe(
      "smtp://…@mail.example.com:587/…",
    );
    expect(toMasked("http://localhost:9093")).toBe("http://localhost:9093");
  });
});
