import { expect, test } from "bun:test";
import { parseListeners } from "./listener.ts";

test("a table of sockets is read up to the first that does not listen", () => {
  const line = (local: string, state: string, inode: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0`;
  const text = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    line("0100007F:1F90", "0A", 11),
    line("00000000000000000000000001000000:1F91", "0A", 12),
    line("00000000000000000000000000000000:1F92", "0A", 13),
    line("0000000000000000FFFF00000200007F:1F93", "0A", 14),
    line("0100007F:1F94", "01", 15),
    line("0100007F:1F95", "0A", 16),
  ].join("\n");
  expect(parseListeners(text).listeners).toEqual([
    { port: 8080, host: "127.0.0.1", inode: "11" },
    { port: 8081, host: "::1", inode: "12" },
    { port: 8082, host: "127.0.0.1", inode: "13" },
    { port: 8083, host: "127.0.0.2", inode: "14" },
  ]);
});
