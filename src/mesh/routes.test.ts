import { expect, test } from "bun:test";
import { Routes } from "./routes.ts";

const routes = new Routes<string>();
routes.add("shop", ["shop.example.com", "*.shop.example.com", "Café.example"], "shop");
routes.add("blog", ["*.example.com"], "blog");

for (const [host, app] of [
  ["shop.localhost", "shop"],
  ["SHOP.LocalHost:8080", "shop"],
  ["shop.localhost.", "shop"],
  ["shop.localhost.:8080", "shop"],
  ["shop.example.com", "shop"],
  ["a.shop.example.com", "shop"],
  ["other.example.com", "blog"],
  ["a.b.example.com", undefined],
  ["example.com", undefined],
  ["localhost", undefined],
  ["shop", undefined],
  ["a.shop.localhost", undefined],
  ["nobody.localhost", undefined],
  ["[::1]:8080", undefined],
  ["127.0.0.1", undefined],
] as const) {
  test(`${host} is ${app ?? "nobody's"}`, () => {
    expect(routes.find(host)).toBe(app as string);
    expect(routes.find(host)).toBe(app as string);
  });
}

test("a domain that moved to another app stays there when its first app goes", () => {
  const moving = new Routes<string>();
  moving.add("a", ["x.example"], "a");
  moving.add("b", ["x.example"], "b");
  expect(moving.find("x.example")).toBe("b");
  moving.remove("a", ["x.example"], "a");
  expect(moving.find("x.example")).toBe("b");
  moving.remove("b", ["x.example"], "b");
  expect(moving.find("x.example")).toBeUndefined();
});
