/**
 * A black hole in front of ports of this machine: what is sent to them, or from them, is dropped, and nobody is told.
 * An nftables table of the drill's own, for root alone; its entries end by themselves, whatever becomes of the drill.
 */
const table = "nines_drill";

/** Whether it can be done here: root, nft, and a kernel that has it. */
export function mayCut(): boolean {
  if (process.getuid?.() !== 0 || Bun.which("nft") === null) return false;
  return nft(`table inet ${table}_try\ndelete table inet ${table}_try\n`) === "";
}

/** Drops everything of these TCP ports until disposed, and not longer than `ms` and a moment. */
export function cutPorts(ports: readonly number[], ms: number): Disposable {
  const elements = ports.map((port) => `${port} timeout ${Math.ceil(ms / 1_000) + 2}s`).join(", ");
  const problem = nft(`table inet ${table} {
  set ports { type inet_service; flags timeout; }
  chain cut {
    type filter hook input priority 0;
    tcp dport @ports drop
    tcp sport @ports drop
  }
}
add element inet ${table} ports { ${elements} }
`);
  if (problem !== "") throw new Error(`the firewall did not take the rule: ${problem}`);
  return {
    [Symbol.dispose]() {
      nft(`delete table inet ${table}\n`);
    },
  };
}

function nft(rules: string): string {
  const { exitCode, stderr } = Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(rules) });
  return exitCode === 0 ? "" : stderr.toString().trim() || `exit ${exitCode}`;
}
