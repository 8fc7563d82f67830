import { expect, test } from "bun:test";
import { isLateWrite } from "./late-write.ts";

function thrown(stack: string, kind: typeof Error = TypeError): Error {
  return Object.assign(new kind("null is not an object (evaluating 'socket.write')"), { stack });
}

test("only what the database's client throws out of its own late write is nobody's end", () => {
  const line = "    at nextWrite (/srv/nines/node_modules/postgres/src/connection.js:255:15)";
  expect(isLateWrite(thrown(`TypeError: null is not an object\n${line}`))).toBe(true);
  expect(isLateWrite(thrown(`Error: something\n${line}`, Error))).toBe(false);
  expect(isLateWrite(thrown("TypeError: x\n    at nextWrite (/srv/app/connection.js:1:1)"))).toBe(false);
  expect(
    isLateWrite(thrown("TypeError: x\n    at data (/srv/node_modules/postgres/src/connection.js:1:1)")),
  ).toBe(false);
});
