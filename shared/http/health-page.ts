import { messageOf } from "#shared/api/joined-errors.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { HealthResults } from "./health-results.ts";

/** Resolves where all is well, and rejects with what is not. */
export type HealthCheck = () => Promise<unknown>;

export interface HealthQuery {
  /** One check alone, by its name. */
  readonly only?: string | undefined;
  readonly excluded: ReadonlySet<string>;
  readonly verbose: boolean;
}

/** /healthz, /livez or /readyz, whole or check by check, in the text that probes and people know.
 *  @param root the page's name, which its last line says.
 *  @param results of the checks of whole pages are noted there. */
export async function healthPage(
  root: string,
  checks: Readonly<Record<string, HealthCheck>>,
  { only, excluded, verbose }: HealthQuery,
  results: HealthResults,
): Promise<{ readonly code: number; readonly body: string }> {
  if (only !== undefined) return singleCheck(Object.hasOwn(checks, only) ? checks[only] : undefined);
  const lines: string[] = [];
  let failed = false;
  for (const [name, check] of Object.entries(checks)) {
    if (excluded.has(name)) {
      lines.push(`[+]${name} excluded: ok`);
      continue;
    }
    const isWell = await check().then(
      () => true,
      () => false,
    );
    results.took(name, root, isWell);
    lines.push(isWell ? `[+]${name} ok` : `[-]${name} failed: reason withheld`);
    failed ||= !isWell;
  }
  const unknown = [...excluded].filter((name) => !Object.hasOwn(checks, name)).sort();
  if (unknown.length > 0)
    lines.push(`warn: some health checks cannot be excluded: no matches for ${unknown.map(goQuote).join(",")}`);
  if (failed) return { code: 500, body: `${lines.join("\n")}\n${root} check failed\n` };
  return { code: 200, body: verbose ? `${lines.map((line) => `${line}\n`).join("")}${root} check passed\n` : "ok" };
}

/** The page of one check says no more than that, whatever is asked of it. */
async function singleCheck(check: HealthCheck | undefined): Promise<{ readonly code: number; readonly body: string }> {
  if (!check) return { code: 404, body: "404 page not found\n" };
  try {
    await check();
    return { code: 200, body: "ok" };
  } catch (error) {
    return { code: 500, body: `internal server error: ${messageOf(error)}\n` };
  }
}
