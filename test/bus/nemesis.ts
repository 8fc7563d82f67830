/** What goes wrong with brokers: killed, stopped, cut off, their disks full; one thing after another. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BrokerProcess, spawnBroker } from "../../src/bus/harness.ts";
import { startProxy, type TcpProxy } from "./proxy.ts";

export const faults = ["kill", "stop", "cut", "full"] as const;
export type Fault = (typeof faults)[number];

export interface Victim extends AsyncDisposable {
  readonly id: string;
  readonly proxy: TcpProxy;
  /** The fault begins, lasts, and is over when this resolves. */
  suffer(fault: Fault, forMs: number): Promise<void>;
}

/** Room for a broker's journals; a fault fills what is left of it. */
const diskMegabytes = 64;

export async function startVictim(id: string, root: string): Promise<Victim> {
  const disk = join(root, id);
  mkdirSync(disk, { recursive: true });
  const mounted = mount(disk);
  const broker = await spawnBroker(id, { BUS_DIR: join(disk, "journals") });
  const proxy = await startProxy(() => broker.address.port);
  return {
    id,
    proxy,
    suffer: (fault, forMs) => suffer(fault, forMs, { broker, proxy, disk, mounted }),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await broker[Symbol.asyncDispose]();
      if (mounted) execFileSync("umount", ["-l", disk]);
    },
  };
}

interface Parts {
  readonly broker: BrokerProcess;
  readonly proxy: TcpProxy;
  readonly disk: string;
  readonly mounted: boolean;
}

async function suffer(fault: Fault, forMs: number, { broker, proxy, disk, mounted }: Parts): Promise<void> {
  switch (fault) {
    case "kill":
      await broker.kill();
      await Bun.sleep(Math.min(forMs, 500));
      return broker.restart();
    case "stop":
      broker.signal("SIGSTOP");
      await Bun.sleep(forMs);
      return broker.signal("SIGCONT");
    case "cut":
      proxy.cut();
      await Bun.sleep(forMs);
      return proxy.heal();
    case "full": {
      // Where nothing may be mounted there is no small disk to fill.
      if (!mounted) return;
      const filler = join(disk, "filler");
      fill(filler);
      await Bun.sleep(forMs);
      rmSync(filler, { force: true });
    }
  }
}

function fill(path: string): void {
  const block = Buffer.alloc(1_048_576);
  for (let size = block.length; size >= 1; size = Math.floor(size / 4)) {
    try {
      for (;;) writeFileSync(path, block.subarray(0, size), { flag: "a" });
    } catch {
      // No room for so much: perhaps for less.
    }
  }
}

function mount(path: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${diskMegabytes}m`, "tmpfs", path], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}
