import { beforeEach, expect, test } from "bun:test";
import { paths } from "../wire/records.ts";
import { planCreate, planDelete } from "./changes.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import type { Asking, Plan } from "./plan.ts";
import { planShare, planUnshare, readShares } from "./shares.ts";

let registry: MemoryRegistry;
const asking = (app: string): Asking => ({ app, by: "ann", at: "2030-01-01T00:00:00.000Z", rollout: "r" });
const commit = (plan: Plan<unknown>) => {
  if (plan.writes.length > 0) registry.transact(plan.writes);
  return plan.say;
};
const share = (topic: string, guest: string) => commit(planShare(registry, asking("shop"), topic, guest));
const unshare = (topic: string, guest: string) => commit(planUnshare(registry, asking("shop"), topic, guest));

beforeEach(() => {
  registry = new MemoryRegistry();
  for (const app of ["shop", "billing", "mail"]) commit(planCreate(registry, asking(app)));
});

test("a topic is shared with several apps, once each, and taken back from one of them", () => {
  expect(share("orders", "billing")).toContain("orders with billing by ann");
  share("orders", "mail");
  expect(share("orders", "mail")).toBe("");
  expect(readShares(registry, "shop")).toEqual([{ topic: "orders", with: ["billing", "mail"] }]);
  unshare("orders", "billing");
  expect(readShares(registry, "shop")).toEqual([{ topic: "orders", with: ["mail"] }]);
  unshare("orders", "mail");
  expect(registry.get(paths.share("shop", "orders"))).toBeUndefined();
});

test.each([
  ["a topic with a slash", "a/b", "billing", "cannot be a topic of shop"],
  ["a topic that is a path's trick", "..", "billing", "cannot be a topic of shop"],
  ["no topic", "", "billing", "cannot be a topic of shop"],
  ["a topic too long for its app", "x".repeat(60), "billing", "cannot be a topic of shop"],
  ["itself", "orders", "shop", "may use its own topics"],
  ["an app that is not there", "orders", "billings", 'there is no app "billings"'],
])("refused to share with: %s", (_, topic, guest, message) => {
  expect(() => share(topic, guest)).toThrow(message);
});

test("of what is not shared nothing can be taken back", () => {
  share("orders", "mail");
  expect(() => unshare("orders", "billing")).toThrow("shop does not share orders with billing");
  expect(() => unshare("mails", "mail")).toThrow("shop does not share mails with mail");
});

test("an app that is destroyed is forgotten as a guest, so that a later one of its name finds no door open", () => {
  share("orders", "billing");
  share("orders", "mail");
  share("refunds", "billing");
  commit(planDelete(registry, asking("billing")));
  expect(readShares(registry, "shop")).toEqual([{ topic: "orders", with: ["mail"] }]);
});

test("a record of a share that cannot be understood shares nothing, and can be written over", () => {
  registry.transact([{ kind: "set", path: paths.share("shop", "orders"), value: { with: "billing" } }]);
  expect(readShares(registry, "shop")).toEqual([{ topic: "orders", with: [] }]);
  share("orders", "billing");
  expect(readShares(registry, "shop")).toEqual([{ topic: "orders", with: ["billing"] }]);
});

test("an app that is destroyed is forgotten as a guest of another's data, too", () => {
  const path = paths.dataShare("shop", "prices");
  registry.transact([{ kind: "set", path, value: { with: ["billing", "mail"], change: true } }]);
  commit(planDelete(registry, asking("billing")));
  expect(registry.get(path)?.value).toEqual({ with: ["mail"], change: true });
  commit(planDelete(registry, asking("mail")));
  expect(registry.get(path)).toBeUndefined();
});
