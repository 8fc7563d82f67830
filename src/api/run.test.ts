import { expect, test } from "bun:test";
import type { Control } from "./control.ts";
import { checkRole } from "./role.ts";
import { attachRun } from "./run.ts";

test("a question for a run that is no WebSocket handshake starts nothing", async () => {
  let started = 0;
  const control = { attach: async () => started++ } as unknown as Control;
  const request = new Request("http://127.0.0.1/v1/apps/shop/run?command=ls");
  const asked = attachRun(request, "shop", control, {} as never, "admin");
  expect(asked).rejects.toThrow("expected a WebSocket handshake");
  await asked.catch(() => {});
  expect(started).toBe(0);
});

test("a viewer who wants to run something is told that viewers do not, whatever the method", () => {
  for (const method of ["GET", "POST"]) {
    expect(() => checkRole({ name: "eve", role: "viewer" }, method, "/v1/apps/shop/run")).toThrow(
      'the token "eve" is a viewer\'s and runs nothing',
    );
  }
});
