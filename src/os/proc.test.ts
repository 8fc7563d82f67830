import { expect, test } from "bun:test";
import { identify, isAlive, isOver, readStat } from "./proc.ts";

const python = Bun.which("python3");

/** Its first thread ends at once, as that of a killed process may before the others; one more goes on. */
const headless = `
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("on", flush=True)
ctypes.CDLL(None).syscall(60, 0)
`;

test.skipIf(python === null)("a process is over when the last of its threads is, not the first", async () => {
  await using child = Bun.spawn([python ?? "", "-c", headless], { stdout: "pipe", stderr: "ignore" });
  const identity = identify(child.pid);
  if (identity === undefined) throw new Error("it did not start");
  expect(isOver(identity)).toBe(false);
  await child.stdout.getReader().read();
  while (readStat(child.pid)?.state !== "Z") await Bun.sleep(5);
  expect(isAlive(identity)).toBe(false);
  expect(isOver(identity)).toBe(false);
  child.kill("SIGKILL");
  await child.exited;
  expect(isOver(identity)).toBe(true);
});

test("a stranger with its pid is not that process", () => {
  const self = identify(process.pid);
  if (self === undefined) throw new Error("this process is not there");
  expect(isOver(self)).toBe(false);
  expect(isOver({ ...self, startTime: self.startTime + 1 })).toBe(true);
});
