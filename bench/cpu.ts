/** CPU time of a process and all below it, from /proc. */
import { readFileSync } from "node:fs";
import { listPids, readStat } from "../src/os/proc.ts";

/** One clock tick of /proc/PID/stat: USER_HZ is 100 on every Linux. */
const tickMs = 10;

/** utime + stime in ms of the process and its living descendants. */
export function readCpuMs(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, one) => sum + ownCpuMs(one), 0);
}

function ownCpuMs(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * tickMs;
  } catch {
    return 0;
  }
}

function descendants(pid: number): number[] {
  const stats = listPids().flatMap((one) => readStat(one) ?? []);
  const below = (parent: number): number[] =>
    stats.filter((stat) => stat.ppid === parent).flatMap((stat) => [stat.pid, ...below(stat.pid)]);
  return below(pid);
}
