import { expect, test } from "bun:test";
import { isToken, makeToken, nameOfToken, parseTokenRecord, toTokenPath } from "./tokens.ts";

test("a token says its name, and is known by its hash alone", () => {
  const { token, hash } = makeToken("anna");
  const record = parseTokenRecord({ name: "anna", role: "viewer", hash });
  expect(nameOfToken(token)).toBe("anna");
  expect(isToken(token, record)).toBe(true);
  expect(isToken(makeToken("anna").token, record)).toBe(false);
  expect(JSON.stringify(record)).not.toContain(token.slice(-43));
  for (const other of ["", "anna", token.slice(0, -1), `${token}x`, "nines__", hash])
    expect(nameOfToken(other)).toBeUndefined();
});

test("nobody takes the name of the platform's own, nor one that is none", () => {
  expect(toTokenPath("anna-2")).toBe("/tokens/anna-2");
  for (const name of ["admin", "nines", "controller", "controller-1", "Anna", "a/b", "", "x".repeat(31)]) {
    expect(() => toTokenPath(name)).toThrow("cannot be the name of a token");
  }
});
