/** Numbers as people compare them: medians, and columns that line up. */

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** The first column is aligned left, and so is every column whose cells are not numbers. */
export function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const right = head.map((_, at) => at > 0 && rows.every((row) => /^[\d.,–\s/%-]*$/.test(row[at] ?? "")));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (right[at] ? cell.padStart(width[at] ?? 0) : cell.padEnd(width[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), width.map((cells) => "-".repeat(cells)).join("  "), ...rows.map(line), ""].join("\n");
}
