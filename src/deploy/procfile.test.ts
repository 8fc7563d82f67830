import { describe, expect, test } from "bun:test";
import { parseProcfile } from "./procfile.ts";

describe("a good Procfile", () => {
  const good: readonly [string, string, Record<string, string>][] = [
    ["one line", "web: node server.js", { web: "node server.js" }],
    ["comments and empty lines", "# hi\n\nweb: a\n  # more\nworker: b\n", { web: "a", worker: "b" }],
    ["CRLF and a BOM", "\uFEFFweb: a\r\nworker: b\r\n", { web: "a", worker: "b" }],
    ["no space after the colon, colons in the command", "web:run http://x:1", { web: "run http://x:1" }],
    ["a space before the colon", "web : a", { web: "a" }],
    ["a release phase", "release: migrate\nweb: a", { release: "migrate", web: "a" }],
    ["a # inside a command", "web: sh -c 'echo #1'", { web: "sh -c 'echo #1'" }],
    ["a name that every object has", "constructor: a", { constructor: "a" }],
  ];
  for (const [name, text, expected] of good) test(name, () => expect(parseProcfile(text)).toEqual(expected));
});

describe("a bad Procfile names line, column and what was expected", () => {
  const bad: readonly [string, string, string][] = [
    ["empty", "", "Procfile:1:1: expected at least one process, found none"],
    ["only comments", "# web: a\n", "Procfile:1:1: expected at least one process"],
    ["no colon", "web: a\nworker b", 'Procfile:2:9: expected ":" after the process type'],
    ["no type", ": a", 'Procfile:1:1: expected a process type before ":"'],
    ["no command", "web:\n", 'Procfile:1:5: expected a command after "web:"'],
    [
      "a bad type",
      "we b: a",
      'Procfile:1:3: expected letters, digits, "-" or "_" in the process type, found " "',
    ],
    ["twice", "web: a\nweb: b", 'Procfile:2:1: process type "web" is there twice, first in line 1'],
    ["binary", "web: a\0b", "Procfile:1:7: expected text, found a NUL byte"],
    ["a shell script", "#!/bin/sh\nnode server.js", "Procfile:2:15: expected"],
    ["a prototype", "__proto__: a", "Procfile:1:1: expected a process type of at most 30"],
    ["only a release phase", "release: migrate", 'Procfile:1:1: "release" runs once'],
    ["too long", `web: ${"x".repeat(70_000)}`, "longer than 65536 bytes"],
  ];
  for (const [name, text, expected] of bad)
    test(name, () => expect(() => parseProcfile(text)).toThrow(expected));

  test("all problems are told at once", () => {
    expect(() => parseProcfile("a\nb\n:c")).toThrow(/Procfile:1:2.*Procfile:2:2.*Procfile:3:1/s);
  });
});
