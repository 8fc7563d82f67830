import { expect, test } from "bun:test";
import { Mirror } from "./mirror.ts";

test("two that came to the same content by different ways have the same checksum", () => {
  const [one, two] = [new Mirror(), new Mirror()];
  one.apply(1, [{ path: "/a", value: { x: 1, y: 2 } }]);
  one.apply(2, [{ path: "/b", value: 1 }]);
  one.apply(3, [{ path: "/b", value: null }]);
  two.become({ revision: 9, entries: [{ path: "/a", value: { y: 2, x: 1 }, revision: 5 }] });
  expect(one.checksum).toBe(two.checksum);
  two.apply(10, [{ path: "/a", value: { x: 1, y: 3 } }]);
  expect(one.checksum).not.toBe(two.checksum);
});

test("applying a commit twice is applying it once", () => {
  const mirror = new Mirror();
  const changes = [
    { path: "/a", value: 1 },
    { path: "/gone", value: null },
  ];
  mirror.apply(1, changes);
  const before = mirror.checksum;
  mirror.apply(1, changes);
  expect(mirror.checksum).toBe(before);
  expect(mirror.size).toBe(1);
});

test("becoming a snapshot tells exactly what differs", () => {
  const mirror = new Mirror();
  for (const [i, path] of ["/same", "/other", "/gone"].entries()) mirror.apply(i + 1, [{ path, value: 1 }]);
  const entries = [
    { path: "/same", value: 1, revision: 1 },
    { path: "/other", value: 2, revision: 2 },
    { path: "/new", value: 1, revision: 4 },
  ];
  expect(mirror.become({ revision: 4, entries })).toEqual([
    { path: "/other", value: 2 },
    { path: "/new", value: 1 },
    { path: "/gone", value: null },
  ]);
  expect(mirror.become({ revision: 4, entries })).toEqual([]);
});

test("a prefix lists its paths in order, also after paths came and went", () => {
  const mirror = new Mirror();
  const paths = (prefix: string) => mirror.list(prefix).map((entry) => entry.path);
  mirror.apply(
    1,
    ["/b/2", "/a", "/b/1", "/c"].map((path) => ({ path, value: 1 })),
  );
  expect(paths("/b/")).toEqual(["/b/1", "/b/2"]);
  mirror.apply(2, [{ path: "/b/1", value: null }]);
  mirror.apply(3, [{ path: "/b/0", value: 1 }]);
  expect(paths("/b/")).toEqual(["/b/0", "/b/2"]);
  expect(paths("/")).toEqual(["/a", "/b/0", "/b/2", "/c"]);
  expect(paths("/x")).toEqual([]);
});
