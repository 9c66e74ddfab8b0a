import type { Duplex, Readable } from "node:stream";
import type { ExecSession } from "../../runtime/runtime.ts";

/** What a client of exec or attach asked for (PodExecOptions, PodAttachOptions). */
export interface RemoteCommandOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/**
 * The client's side of exec and attach, by whichever protocol it speaks. Streams not asked for are absent. What is written to
 * one is taken in order: nothing of no bytes is sent, and its callback tells that all before it is.
 */
export interface RemoteClient {
  readonly stdin: Readable | undefined;
  readonly stdout: NodeJS.WritableStream | undefined;
  readonly stderr: NodeJS.WritableStream | undefined;
  /** Terminal sizes as they change. */
  onResize(handler: (columns: number, rows: number) => void): void;
  /** Says how the process ended, in the protocol's form, and closes the connection once all is sent. */
  finish(outcome: Outcome): Promise<void>;
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
}

export type Outcome =
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "failed"; readonly message: string };

/** metav1.Status as clients of protocol v4 and later read it from the error stream. */
export function outcomeStatus(outcome: Outcome): object {
  if (outcome.kind === "failed") {
    return { metadata: {}, status: "Failure", message: outcome.message, reason: "InternalError", code: 500 };
  }
  const { exitCode } = outcome;
  if (exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: command terminated with exit code ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}

/** The text that older protocols have in place of the Status; undefined for success. */
export function outcomeText(outcome: Outcome): string | undefined {
  if (outcome.kind === "failed") return outcome.message;
  return outcome.exitCode === 0 ? undefined : `command terminated with exit code ${outcome.exitCode}`;
}

/** Joins a process and a client until one of them is done. */
export async function bridge(client: RemoteClient, open: () => Promise<ExecSession>): Promise<void> {
  let session: ExecSession;
  try {
    session = await open();
  } catch (error) {
    await client.finish({ kind: "failed", message: (error as Error).message });
    return;
  }
  void client.gone.then(() => session.close());
  client.onResize((columns, rows) => {
    // A size that comes as the process ends has nothing to change.
    session.resize(columns, rows).catch(() => undefined);
  });
  if (client.stdin && session.stdin) {
    client.stdin.pipe(session.stdin as unknown as Duplex);
    (session.stdin as unknown as Duplex).on("error", () => client.stdin?.resume());
  }
  const outputs = [copy(session.stdout, client.stdout), session.stderr && copy(session.stderr, client.stderr)];
  try {
    await Promise.all(outputs);
    await client.finish({ kind: "exited", exitCode: await session.exited });
  } catch (error) {
    await client.finish({ kind: "failed", message: (error as Error).message });
  }
}

/** Copies to the end; output that nobody asked for is read and dropped, so that the process does not block on it. */
async function copy(from: Readable, to: NodeJS.WritableStream | undefined): Promise<void> {
  await piped(from, to);
  // A client that reads slowly has not taken the last of it yet, which would be lost behind how the process ended.
  if (to) await new Promise<void>((resolve) => to.write(Buffer.alloc(0), () => resolve()));
}

function piped(from: Readable, to: NodeJS.WritableStream | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    from.once("end", resolve);
    from.once("close", resolve);
    from.once("error", reject);
    if (to) {
      from.pipe(to, { end: false });
      to.on("error", () => from.resume());
      to.on("close", () => from.resume());
    } else {
      from.resume();
    }
  });
}
