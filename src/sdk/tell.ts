/** Tells the platform something that may as well be told later: to whichever controller answers first. */
type Env = Readonly<Record<string, string | undefined>>;

/** True when a controller has heard it. Never throws. */
export type Tell = (path: string, body: unknown) => Promise<boolean>;

const answerWithinMs = 2_000;

/** Undefined without a platform in the environment. */
export function toTell(env: Env): Tell | undefined {
  const places = (env.NINES_API ?? "").split(",").filter((place) => place !== "");
  const token = env.NINES_API_TOKEN;
  if (places.length === 0 || token === undefined) return undefined;
  return async (path, body) => {
    for (const place of places) {
      try {
        const response = await fetch(`${place}${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(answerWithinMs),
        });
        await response.body?.cancel();
        if (response.ok) return true;
      } catch {
        // The next controller, or the next time.
      }
    }
    return false;
  };
}
