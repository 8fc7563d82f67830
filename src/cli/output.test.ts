import { expect, test } from "bun:test";
import { Board } from "./board.ts";
import { Output, toTable } from "./output.ts";
import { toBar, toBytes } from "./progress.ts";
import { toShell } from "./shell.ts";

const stream = (isTTY: boolean) => {
  const written: string[] = [];
  return { isTTY, columns: 20, written, write: (data: string | Uint8Array) => written.push(String(data)) };
};

test("columns are as wide as their widest cell, and colours do not count", () => {
  expect(
    toTable(
      ["A", "LONG", "C"],
      [
        ["1", "\x1b[32mup\x1b[0m", "x"],
        ["333", "starting", ""],
      ],
    ),
  ).toEqual(["A    LONG      C", "1    \x1b[32mup\x1b[0m        x", "333  starting"]);
});

test("a line is cut at the edge of a terminal, and whole in a pipe", () => {
  const line = "a line that is far too long";
  expect(toTable(["H"], [[line]], 20)[1]).toBe("a line that is far …");
  expect(toTable(["H"], [[line]])[1]).toBe(line);
});

test("colours go to a terminal only, and not where NO_COLOR is set", () => {
  expect(new Output(stream(true), stream(true), {}).paint("red", "x")).toBe("\x1b[31mx\x1b[0m");
  expect(new Output(stream(true), stream(true), { NO_COLOR: "1" }).paint("red", "x")).toBe("x");
  expect(new Output(stream(false), stream(true), {}).paint("red", "x")).toBe("x");
});

test("the bar fills with the bytes", () => {
  expect(toBar("Sending", 0, 2e6)).toBe(`Sending [${" ".repeat(28)}]   0 %  0 B of 2.0 MB`);
  expect(toBar("Sending", 1e6, 2e6)).toContain(`[${"#".repeat(14)}${" ".repeat(14)}]  50 %`);
  expect(toBar("Sending", 0, 0)).toContain("100 %");
});

test("bytes have three figures at most", () => {
  expect([0, 999, 1_000, 12_345, 999_499, 999_999, 3.4e6, 5e9].map(toBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "12 kB",
    "999 kB",
    "1.0 MB",
    "3.4 MB",
    "5.0 GB",
  ]);
});

test("words come out of the shell as they went in", () => {
  const words = ["printf", "%s|", "a b", "it's", "$HOME", "", "*", "a;b", "é"];
  const { stdout } = Bun.spawnSync(["sh", "-c", toShell(words)]);
  expect(stdout.toString()).toBe(`${words.slice(2).join("|")}|`);
  expect(toShell(["echo $HOME | cat"])).toBe("echo $HOME | cat");
});

test("the board redraws on a terminal, and tells each change once elsewhere", () => {
  const part = { name: "agent", kind: "agent", pid: 7, state: "up", restarts: 0, since: null } as const;
  const [terminal, pipe] = [stream(true), stream(false)];
  const live = new Board(new Output(terminal, terminal, { NO_COLOR: "1" }), false);
  live.show([part]);
  live.show([part]);
  live.show([{ ...part, pid: 8 }]);
  expect(terminal.written.filter((text) => text.includes("agent"))).toHaveLength(2);
  expect(terminal.written[1]).toBe("\r\x1b[2A\x1b[J");
  const told = new Board(new Output(pipe, pipe, {}), false);
  told.show([{ ...part, port: 80 }]);
  told.show([{ ...part, port: 80 }]);
  told.show([{ ...part, pid: null, state: "restarting" }]);
  expect(pipe.written).toEqual(["agent up (pid 7, port 80)\n", "agent restarting\n"]);
});
