/** A TCP proxy that can become a black hole: everything stays connected, and nothing comes through. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** From now on nothing passes, in either direction; who connects is accepted and hears nothing. */
  cut(): void;
  /** New connections pass again; the old ones are reset, as a router would after it lost their state. */
  heal(): void;
}

export async function startProxy(to: () => number): Promise<TcpProxy> {
  const pairs = new Set<readonly Socket[]>();
  let open = true;
  const server = createServer((near) => {
    near.on("error", () => near.destroy());
    if (!open) {
      const pair = [near];
      pairs.add(pair);
      near.on("close", () => pairs.delete(pair));
      near.pause();
      return;
    }
    const far = connect({ host: "127.0.0.1", port: to() });
    const pair = [near, far];
    pairs.add(pair);
    for (const socket of pair) socket.setNoDelay(true);
    far.on("error", () => near.destroy());
    near.on("close", () => far.destroy());
    far.on("close", () => {
      // A connection that is cut off does not notice that the other side is gone.
      if (open) near.destroy();
      pairs.delete(pair);
    });
    near.on("data", (chunk) => open && far.write(chunk));
    far.on("data", (chunk) => open && near.write(chunk));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cut: () => {
      open = false;
    },
    heal: () => {
      open = true;
      for (const pair of pairs) for (const socket of pair) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
