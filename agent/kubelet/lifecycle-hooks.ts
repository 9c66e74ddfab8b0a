import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Container, LifecycleHandler, Pod } from "#shared/api/types/core-v1.generated.ts";
import { formatPod } from "./pod-containers.ts";
import { type HttpTarget, httpGet, httpGetTarget, plainHttpAnswer } from "./probes/http-get.ts";
import { timerOf_ms } from "./spec-time.ts";

/** The longest that a timer takes: hooks may run as long as their container does. */
export const longestHook_ms = 2_147_483_647;

/** A hook did not do its work. */
export class HookError extends Error {
  override readonly name = "HookError";
}

export interface HookInput {
  readonly runtime: ContainerRuntime;
  readonly pod: Pod;
  readonly container: Container;
  readonly containerId: string;
  readonly handler: LifecycleHandler;
  readonly podIP: string | undefined;
  readonly timeout_ms: number;
}

/** Runs a postStart or preStop handler to its end. Rejects with HookError. */
export async function runHook(input: HookInput): Promise<void> {
  const { handler } = input;
  const where = `Container "${input.container.name}" in Pod "${formatPod(input.pod)}"`;
  if (handler.exec) {
    const command = handler.exec.command ?? [];
    const result = await input.runtime
      .execSync(input.containerId, command, input.timeout_ms)
      .catch((error: Error) => ({ exitCode: -1, stdout: "", stderr: "", timedOut: false, error }));
    const what = `Exec lifecycle hook ([${command.join(" ")}]) for ${where} failed`;
    const output = JSON.stringify(result.stdout + result.stderr);
    if ("error" in result) throw new HookError(`${what} - error: ${result.error.message}, message: ""`);
    if (result.timedOut) throw new HookError(`${what} - error: command timed out, message: ${output}`);
    if (result.exitCode !== 0) {
      throw new HookError(
        `${what} - error: command '${command.join(" ")}' exited with ${result.exitCode}: ${result.stderr}, message: ${output}`,
      );
    }
    return;
  }
  if (handler.httpGet) return runHttp(input, handler.httpGet, where);
  if (handler.sleep) {
    const asked_ms = timerOf_ms(handler.sleep.seconds, 0);
    await new Promise((resolve) => setTimeout(resolve, Math.min(asked_ms, input.timeout_ms)));
    return;
  }
  throw new HookError(`Cannot run handler: invalid handler: ${JSON.stringify(handler)}`);
}

/** Only whether an answer comes counts, not its code. */
async function runHttp(
  input: HookInput,
  action: NonNullable<LifecycleHandler["httpGet"]>,
  where: string,
): Promise<void> {
  const target = httpGetTarget(action, input.container, input.podIP ?? "", "lifecycle");
  try {
    await httpGet(target, input.timeout_ms);
  } catch (error) {
    if (target.url.protocol === "https:" && isPlainHttpAnswer(error) && (await succeedsPlainly(target, input))) return;
    const path = action.path ?? "";
    throw new HookError(`HTTP lifecycle hook (${path}) for ${where} failed - error: ${(error as Error).message}`);
  }
}

/** Hooks that said HTTPS were served over HTTP by old kubelets; upstream still falls back. Its event about that is filtered out. */
async function succeedsPlainly({ url, headers }: HttpTarget, { timeout_ms }: HookInput): Promise<boolean> {
  const plain = new URL(url);
  plain.protocol = "http:";
  // A port that is the scheme's own is left out of an URL.
  plain.port = url.port || "443";
  const open = Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization");
  try {
    await httpGet({ url: plain, headers: Object.fromEntries(open) }, timeout_ms);
  } catch {
    // The failure of the request that was asked for is the one to tell.
    return false;
  }
  return true;
}

const isPlainHttpAnswer = (error: unknown): boolean => (error as Error).message.endsWith(plainHttpAnswer);
