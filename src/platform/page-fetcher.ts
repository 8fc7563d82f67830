/** Gets the pages that apps show for their errors and for maintenance. */
const timeoutMs = 10_000;

/** The page's HTML; rejects when it cannot be had in time, or has more than `bytesMax` bytes. */
export async function fetchPage(url: string, bytesMax: number): Promise<string> {
  const answer = await fetch(url, {
    signal: AbortSignal.timeout(timeoutMs),
    headers: { Accept: "text/html" },
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of answer.body ?? []) {
    length += piece.length;
    // Leaving the loop cancels the rest.
    if (length > bytesMax) throw new Error(`${url} has more than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
