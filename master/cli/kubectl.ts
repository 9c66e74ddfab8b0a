import { accessSync, constants } from "node:fs";
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
  const own = process.env["KUBECONFIG"] ?? args.find((arg) => /^--kubeconfig(=|$)/.test(arg));
  // By itself kubectl would ask this machine at port 8080, and say that nobody is there.
  if (own === undefined) assertReadable(kubeconfig);
  const child = Bun.spawn({
    cmd: [program, ...args],
    env: { ...process.env, KUBECONFIG: process.env["KUBECONFIG"] ?? kubeconfig },
    stdio: ["inherit", "inherit", "inherit"],
  });
  return child.exited;
}

function assertReadable(kubeconfig: string): void {
  try {
    accessSync(kubeconfig, constants.R_OK);
  } catch (error) {
    throw new UserError(
      `${(error as Error).message}. Run this on a master as root, or name a kubeconfig with --kubeconfig`,
    );
  }
}
