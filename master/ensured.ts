import { StatusError } from "#shared/api/errors.ts";
import type { StandingTrouble } from "#shared/client/standing-trouble.ts";
import type { Part } from "#shared/process/parts.ts";

const again_ms = 10_000;

/**
 * Sees to something that a cluster needs: now, and where the cluster refuses it, again until it is done. A webhook that is
 * broken or away refuses a master's own writes like anybody's, and a key service that is away keeps Secrets from being written;
 * neither may keep a master from starting, for only through it can they be mended. Rejects for anything else at the first try.
 */
export async function ensureUntilDone(ensure: () => Promise<void>, trouble: StandingTrouble): Promise<Part> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  const later = (error: unknown): void => {
    trouble.tell(error);
    if (isStopped) return;
    timer = setTimeout(() => {
      ensure().then(() => trouble.end(), later);
    }, again_ms);
  };
  try {
    await ensure();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    later(error);
  }
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
