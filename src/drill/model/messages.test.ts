import { expect, test } from "bun:test";
import type { Heard, Published } from "../records.ts";
import { checkMessages } from "./messages.ts";

const acked = (n: number): Published => ({ lane: "lane-1", n, at: n, tookMs: 1, ok: true });
const heard = (n: number, more: Partial<Heard> = {}): Heard => ({
  id: `lane-1/${n}`,
  lane: "lane-1",
  n,
  broker: "broker.1",
  attempts: 1,
  at: n,
  ...more,
});
const handled = (...numbers: number[]) => new Map(numbers.map((n) => [`lane-1/${n}`, 1]));

test("what was acked and came to both channels is not lost", () => {
  expect(checkMessages([acked(1)], [], [heard(1)], handled(1)).lost).toEqual([]);
});

test("an acked message that one channel never got is lost, and it is said to whom", () => {
  const { lost } = checkMessages([acked(1), acked(2)], [], [heard(1), heard(2)], handled(1));
  expect(lost).toEqual(["lane-1/2 never came to the workers"]);
});

test("a message that was not acked may come or not", () => {
  expect(checkMessages([{ ...acked(1), ok: false }], [], [], handled()).lost).toEqual([]);
});

test("of one broker a younger message before an elder is disorder; of two brokers it is not", () => {
  const both = [acked(1), acked(2)];
  expect(checkMessages(both, [], [heard(2), heard(1)], handled(1, 2)).outOfOrder).toHaveLength(1);
  const twoBrokers = [heard(2), heard(1, { broker: "broker.2" })];
  expect(checkMessages(both, [], twoBrokers, handled(1, 2)).outOfOrder).toEqual([]);
});

test("a redelivery is no disorder", () => {
  const again = [heard(2), heard(1, { attempts: 2 })];
  expect(checkMessages([acked(1), acked(2)], [], again, handled(1, 2)).outOfOrder).toEqual([]);
});

test("an order that an instance has answered must come, too", () => {
  expect(checkMessages([], ["order-9"], [], handled()).lost).toHaveLength(1);
});
