/** A real HTTP target for tests: remembers every request, answers as told. */

export interface Received {
  readonly at: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A status, or a whole response. */
export type Answer = (request: Received) => number | Response | Promise<number | Response>;

export interface TestTarget extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  /** Those answered with 2xx. */
  delivered(): readonly Received[];
  /** The first of each idempotency key that was answered with 2xx: the effects, in their order. */
  firsts(): readonly Received[];
  /** Keys that one holder of the lease has delivered more than once; another holder may, at least once being promised. */
  repeated(): readonly (string | null)[];
  // biome-ignore lint/suspicious/noExplicitAny: bodies of tests
  bodies(): any[];
}

export function startTestTarget(answer: Answer = () => 200): TestTarget {
  const received: Received[] = [];
  const delivered: Received[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const seen = { at: performance.now(), headers: request.headers, body: await request.text() };
      received.push(seen);
      const said = await answer(seen);
      const response = said instanceof Response ? said : new Response("done\n", { status: said });
      if (response.ok) delivered.push(seen);
      return response;
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/writes`,
    received,
    delivered: () => delivered,
    firsts() {
      const seen = new Set<string | null>();
      return delivered.filter(({ headers }) => {
        const key = headers.get("idempotency-key");
        return !seen.has(key) && seen.add(key);
      });
    },
    repeated() {
      const seen = new Set<string>();
      return delivered.flatMap(({ headers }) => {
        const key = headers.get("idempotency-key");
        const delivery = `${headers.get("nines-fencing-token")} ${key}`;
        if (seen.has(delivery)) return [key];
        seen.add(delivery);
        return [];
      });
    },
    bodies: () => received.map((one) => JSON.parse(one.body)),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
