import { UserError } from "./admin-client.ts";

/** `bramble kubectl …`: the kubectl on the PATH with the administrator's kubeconfig. Gives its exit code. */
export async function runKubectl(kubeconfig: string, args: readonly string[]): Promise<number> {
  const program = Bun.which("kubectl");
  if (program === null) {
    throw new UserError(
      "kubectl is not installed here. Debian has it as kubernetes-client; upstream's own is at https://kubernetes.io/docs/tasks/tools. " +
        `From another machine, copy ${kubeconfig} there.`,
    );
  }
  const child = Bun.spawn({
    cmd: [program, ...args],
    env: { ...process.env, KUBECONFIG: process.env["KUBECONFIG"] ?? kubeconfig },
    stdio: ["inherit", "inherit", "inherit"],
  });
  return child.exited;
}
