/**
 * What versions wrote, kept for ever: each reads what the others write. A file of corpus/ is made once, when its
 * version is released, and never changed.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import {
  type Message,
  parseInstanceMessage,
  parseJobMessage,
  parseRouterMessage,
  toInstanceMessage,
  toJobMessage,
  toRouterMessage,
} from "../wire/messages.ts";
import { parseBody, toBody } from "./envelope.ts";
import { quiet } from "./harness.ts";
import { Journal } from "./journal.ts";
import { brokerLimits } from "./limits.ts";
import { Budget } from "./stored.ts";

const root = mkdtempSync(join(tmpdir(), "nines-corpus-"));
afterAll(() => rmSync(root, { recursive: true }));
const folder = join(import.meta.dir, "corpus");

type Kind = "instances" | "router" | "job";
interface Corpus {
  readonly version: string;
  readonly messages: readonly { readonly kind: Kind; readonly means: unknown; readonly body: string }[];
  readonly journal: {
    readonly segment: string;
    readonly means: { readonly channels: unknown; readonly messages: readonly string[] };
  };
}

const readers: Readonly<Record<Kind, (message: Message) => unknown>> = {
  instances: parseInstanceMessage,
  router: parseRouterMessage,
  job: parseJobMessage,
};
const writers: Readonly<Record<Kind, (report: never) => Message>> = {
  instances: toInstanceMessage,
  router: toRouterMessage,
  job: toJobMessage,
};

/** As a later version might add them: text of any kind, under keys that nobody knows yet. */
function withStrangers(message: Message): Message {
  const strangers = Array.from({ length: 5 }, () => {
    const key = `x${Math.random().toString(36).slice(2)}`;
    return [Math.random() < 0.3 ? `_${key}` : key, Math.random() < 0.5 ? "" : `{"${key}": [1]}\n🚀`];
  });
  const list = message.instances === undefined ? undefined : (JSON.parse(message.instances) as object[]);
  const inside = list?.map((one) => ({ ...one, [`y${Math.random()}`]: { deep: [null, 1] } }));
  return {
    ...Object.fromEntries(strangers),
    ...message,
    ...(inside === undefined ? {} : { instances: JSON.stringify(inside) }),
  };
}

for (const file of readdirSync(folder)) {
  const corpus = JSON.parse(readFileSync(join(folder, file), "utf8")) as Corpus;
  describe(`what ${corpus.version} wrote`, () => {
    for (const { kind, means, body } of corpus.messages) {
      test(`${kind}: means what it meant, whatever keys are added to it`, () => {
        const message = parseBody(Buffer.from(body));
        expect(readers[kind](message)).toEqual(means);
        for (let n = 0; n < 50; n++) expect(readers[kind](withStrangers(message))).toEqual(means);
      });

      test(`${kind}: has every key that it had, with what it had, when it is written now`, () => {
        const old = parseBody(Buffer.from(body));
        const { _id: id = "", _src: sender = "" } = old;
        const expiresAt = old._expires === undefined ? undefined : Number(old._expires);
        const now = parseBody(toBody(writers[kind](means as never), { id, sender, expiresAt }));
        for (const [key, value] of Object.entries(old)) {
          // Inside, too, keys may have been added.
          if (key === "instances") expect(JSON.parse(now[key] ?? "")).toMatchObject(JSON.parse(value));
          else expect(now[key]).toBe(value);
        }
      });
    }

    test("journal: is read back whole", () => {
      const copy = mkdtempSync(join(root, "j"));
      writeFileSync(join(copy, "0000000001.seg"), Buffer.from(corpus.journal.segment, "base64"));
      const disk = new Budget(brokerLimits.journalsBytesMax);
      const journal = new Journal({
        folder: copy,
        clock: systemClock,
        log: quiet,
        limits: brokerLimits,
        disk,
      });
      const { channels, messages } = journal.recover();
      const found = messages.map(
        ({ message, channels: left }) =>
          `${journal.read(message.seq)?.toString("utf8", 34)}:${left.join("+")}`,
      );
      journal.close();
      expect({ channels, messages: found }).toEqual(corpus.journal.means as never);
    });
  });
}
