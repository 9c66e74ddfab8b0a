import { hostname } from "node:os";
import { join } from "node:path";
import { hasReason } from "#shared/api/errors.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import { ConnectionError } from "#shared/client/client.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { isOfTime } from "#shared/http/connection-fault.ts";
import { BoardIdentity } from "#shared/pki/board-identity.ts";
import { boardSerial } from "#shared/pki/board-serial.ts";

/** Whom a board that joins asks. */
export interface JoinDirectory {
  readonly servers: readonly string[];
  /** None of these answers, or there are none. */
  readonly unreachable: () => Promise<void>;
}

const joinRetry_ms = 3_000;

/** The identity that this board has in the cluster; joins first if it has none. Retries while no master can be reached; what
 *  a person has to mend ends it. */
export async function joinedBoard(
  start: AgentStart,
  directory: JoinDirectory,
  log: Log,
  signal: AbortSignal,
): Promise<BoardIdentity> {
  const folder = join(start.settings.dataDir, "agent", "identity");
  const serial = await boardSerial(start.settings.dataDir);
  if (directory.servers.length === 0) await directory.unreachable();
  for (let attempt = 0; ; attempt++) {
    try {
      return await BoardIdentity.ensure({
        folder,
        get servers() {
          return directory.servers;
        },
        token: start.token,
        boardSerial: serial,
        log,
        signal,
        hostName: start.settings.nodeName || hostname(),
      });
    } catch (error) {
      if (
        !(
          error instanceof ConnectionError ||
          hasReason(error, "ServiceUnavailable") ||
          hasReason(error, "InternalError")
        )
      )
        throw error;
      if (attempt % 20 === 0) tellOfWaiting(log, directory.servers, error);
      await directory.unreachable();
      await pause(systemClock, joinRetry_ms, signal);
      signal.throwIfAborted();
    }
  }
}

function tellOfWaiting(log: Log, servers: readonly string[], error: unknown): void {
  const fields = { servers: servers.join(","), error };
  const isClock = error instanceof Error && isOfTime(error.message);
  if (isClock) log.warn("waiting for the master: is this board's clock right?", { ...fields, clock: new Date() });
  else log.warn("waiting for the master", fields);
}
