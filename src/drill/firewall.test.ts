import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { cutPorts, mayCut } from "./firewall.ts";

test.skipIf(!mayCut())(
  "what is cut stays connected and says nothing, and goes on when it is mended",
  async () => {
    const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const client = connect(port, "127.0.0.1");
    let heard = "";
    client.on("data", (bytes) => {
      heard += bytes;
    });
    await once(client, "connect");
    {
      using _ = cutPorts([port], 5_000);
      client.write("a");
      await Bun.sleep(150);
      expect([heard, client.readyState]).toEqual(["", "open"]);
    }
    client.write("b");
    while (heard !== "ab") await Bun.sleep(5);
    client.destroy();
    server.close();
  },
);
