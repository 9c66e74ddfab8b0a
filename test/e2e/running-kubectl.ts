/** A kubectl that goes on while a test looks at what it writes: attach, logs -f, proxy, port-forward, events --watch. */
import { clientBinaries } from "../support/kubectl.ts";
import { patience_s } from "./board-cluster.ts";

export interface RunningKubectl {
  /** All of stdout and stderr so far. */
  readonly output: string;
  write(text: string): void;
  /** Ends stdin. */
  end(): void;
  /** Resolves with the match in the output; rejects with the output when the process ends or patience does. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  /** Its exit code, once it has ended by itself. */
  readonly exited: Promise<number>;
  /** Sends SIGINT, as Ctrl-C does, and waits. */
  interrupt(): Promise<void>;
}

export interface RunningOptions {
  /** Give it a terminal (by script(1)), as for `-t`, of a size where one is said. */
  readonly terminal?: boolean | { readonly rows: number; readonly columns: number };
  readonly env?: Readonly<Record<string, string>>;
}

const running = new Set<{ kill(): void }>();

/** Ends all that a failed test has left. */
export function endRunningKubectls(): void {
  for (const child of running) child.kill();
}

export function runKubectl(
  kubeconfig: string,
  args: readonly string[],
  { terminal, env }: RunningOptions = {},
): RunningKubectl {
  const command = [clientBinaries().kubectl, "--kubeconfig", kubeconfig, ...args];
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const sized =
    typeof terminal === "object" ? `stty rows ${terminal.rows} cols ${terminal.columns}; exec ${quoted}` : quoted;
  const child = Bun.spawn({
    cmd: terminal ? ["script", "-qefc", sized, "/dev/null"] : command,
    env: { ...process.env, TERM: "xterm", ...env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  let output = "";
  let hasEnded = false;
  let changed = Promise.withResolvers<void>();
  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const follow = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true });
      tell();
    }
  };
  const all = Promise.all([follow(child.stdout), follow(child.stderr)]);
  const exited = Promise.all([child.exited, all]).then(([code]) => {
    hasEnded = true;
    running.delete(child);
    tell();
    return code;
  });
  return {
    get output() {
      return output;
    },
    write(text) {
      child.stdin.write(text);
      child.stdin.flush();
    },
    end: () => void child.stdin.end(),
    async until(pattern) {
      const late = Bun.sleep(patience_s * 1000).then(() => "late" as const);
      for (;;) {
        const match = pattern.exec(output);
        if (match) return match;
        if (hasEnded) throw new Error(`kubectl ${args.join(" ")} ended without ${pattern}:\n${output}`);
        if ((await Promise.race([changed.promise, late])) === "late")
          throw new Error(`kubectl ${args.join(" ")}: no ${pattern} within ${patience_s} s:\n${output}`);
      }
    },
    exited,
    async interrupt() {
      child.kill("SIGINT");
      await exited;
    },
  };
}
