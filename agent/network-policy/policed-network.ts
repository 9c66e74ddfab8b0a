import { messageOf } from "#shared/api/joined-errors.ts";
import { NetworkError, type SandboxAttachment, type SandboxNetwork } from "../runtime/sandbox-network.ts";
import type { AttachedPod } from "./policy-sync.ts";

/** What keeps a pod that has just got its addresses apart from others. */
export interface Isolation {
  isolate(pod: AttachedPod): Promise<void>;
  release(sandboxId: string): void;
}

/** A pod network in which a pod's policies are in force before its first container starts. */
export class PolicedNetwork implements SandboxNetwork {
  constructor(
    private readonly inner: SandboxNetwork,
    private readonly isolation: Isolation,
  ) {}

  async attach(request: SandboxAttachment): Promise<readonly string[]> {
    const ips = await this.inner.attach(request);
    const { sandboxId, pod, labels } = request;
    try {
      await this.isolation.isolate({ sandboxId, labels, ips, ...pod });
      return ips;
    } catch (error) {
      await this.detach(sandboxId);
      throw new NetworkError(`network policies: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async detach(sandboxId: string): Promise<void> {
    await this.inner.detach(sandboxId);
    this.isolation.release(sandboxId);
  }

  addresses(sandboxId: string): readonly string[] | undefined {
    return this.inner.addresses(sandboxId);
  }

  attached(): string[] {
    return this.inner.attached();
  }

  notReadyReason(): Promise<string | undefined> {
    return this.inner.notReadyReason();
  }
}
