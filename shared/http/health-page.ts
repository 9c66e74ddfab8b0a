/** Resolves where all is well, and rejects with what is not. */
export type HealthCheck = () => Promise<unknown>;

export interface HealthQuery {
  /** One check alone, by its name. */
  readonly only?: string | undefined;
  readonly excluded: ReadonlySet<string>;
  readonly verbose: boolean;
}

/** /healthz, /livez or /readyz, whole or check by check, in the text that probes and people know.
 *  @param root the page's name, which its last line says. */
export async function healthPage(
  root: string,
  checks: Readonly<Record<string, HealthCheck>>,
  { only, excluded, verbose }: HealthQuery,
): Promise<{ readonly code: number; readonly body: string }> {
  if (only !== undefined) return singleCheck(Object.hasOwn(checks, only) ? checks[only] : undefined);
  const names = Object.keys(checks).filter((name) => !excluded.has(name));
  const lines: string[] = [];
  let failed = false;
  for (const name of names) {
    try {
      await checks[name]?.();
      lines.push(`[+]${name} ok`);
    } catch {
      failed = true;
      lines.push(`[-]${name} failed: reason withheld`);
    }
  }
  if (failed) return { code: 500, body: `${lines.join("\n")}\n${root} check failed\n` };
  return { code: 200, body: verbose ? `${lines.join("\n")}\n${root} check passed\n` : "ok" };
}

/** The page of one check says no more than that, whatever is asked of it. */
async function singleCheck(check: HealthCheck | undefined): Promise<{ readonly code: number; readonly body: string }> {
  if (!check) return { code: 404, body: "404 page not found\n" };
  try {
    await check();
    return { code: 200, body: "ok" };
  } catch (error) {
    return { code: 500, body: `internal server error: ${error instanceof Error ? error.message : String(error)}\n` };
  }
}
