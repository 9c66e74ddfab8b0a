import { kubernetesVersion } from "#shared/version.ts";
import { UserError } from "./admin-client.ts";

/** `bramble kubectl …`: the kubectl on the PATH with the administrator's kubeconfig. Gives its exit code. */
export async function runKubectl(kubeconfig: string, args: readonly string[]): Promise<number> {
  const program = Bun.which("kubectl");
  if (program === null) {
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    // Debian's kubernetes-client may be of a version years older, of which nobody says that it works with this API.
    throw new UserError(
      "kubectl is not installed here. To get upstream's:\n" +
        `  curl -fLo kubectl https://dl.k8s.io/release/${kubernetesVersion}/bin/linux/${architecture}/kubectl && sudo install kubectl /usr/local/bin/\n` +
        `On another machine, give it a copy of ${kubeconfig} by --kubeconfig`,
    );
  }
  const child = Bun.spawn({
    cmd: [program, ...args],
    env: { ...process.env, KUBECONFIG: process.env["KUBECONFIG"] ?? kubeconfig },
    stdio: ["inherit", "inherit", "inherit"],
  });
  return child.exited;
}
