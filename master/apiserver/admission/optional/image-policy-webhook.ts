import { messageOf } from "#shared/api/joined-errors.ts";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { AnswerCache } from "../../answer-cache.ts";
import { KubeconfigWebhook } from "../../kubeconfig-webhook.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { annotate, isWriteTo, refusal } from "../attributes.ts";

export interface ImagePolicy {
  /** The service that is asked. */
  readonly kubeconfig: string;
  /** How long it is remembered that it allowed images, or did not; 0: not at all. */
  readonly allowTtl_ms: number;
  readonly denyTtl_ms: number;
  /** Before it is asked again where that may help. */
  readonly firstPause_ms: number;
  /** Whether pods are let in that it could not be asked about. */
  readonly allowsByDefault: boolean;
}

/** imagepolicy.k8s.io/v1alpha1 ImageReview. */
interface ImageReview {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly spec: ImageReviewSpec;
  readonly status: ImageReviewStatus;
}

interface ImageReviewSpec {
  readonly containers?: readonly { readonly image?: string | undefined }[] | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly namespace?: string | undefined;
}

interface ImageReviewStatus {
  readonly allowed: boolean;
  readonly reason?: string | undefined;
  readonly auditAnnotations?: Readonly<Record<string, string>> | undefined;
}

const auditPrefix = "imagepolicywebhook.image-policy.k8s.io/";
const TIMEOUT_MS = 30_000;
const MOST_ANSWERS = 1024;

/** A service of somebody's own says which images pods may run. */
export class ImagePolicyWebhook implements AdmissionPlugin {
  readonly name = "ImagePolicyWebhook";
  readonly resources = [pods];
  readonly #webhook: KubeconfigWebhook;
  readonly #answers = new AnswerCache<ImageReviewStatus>(MOST_ANSWERS);

  /** Throws ConfigError where the policy's file is no kubeconfig. */
  constructor(private readonly policy: ImagePolicy) {
    this.#webhook = new KubeconfigWebhook(this.name, policy.kubeconfig, TIMEOUT_MS);
  }

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const { operation, object } = attributes;
    if (!object || (operation !== "CREATE" && operation !== "UPDATE")) return undefined;
    const isOfPod = isWriteTo(attributes, pods);
    if (!isOfPod && !isWriteTo(attributes, pods, "ephemeralcontainers")) return undefined;
    const { spec, metadata } = object as Pod;
    const containers = isOfPod
      ? [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
      : (spec?.ephemeralContainers ?? []);
    return this.#judge(attributes, {
      containers: containers.length > 0 ? containers.map(({ image }) => ({ image })) : undefined,
      annotations: concerning(metadata.annotations),
      namespace: attributes.namespace,
    });
  }

  async #judge(attributes: AdmissionAttributes, spec: ImageReviewSpec): Promise<void> {
    const status = await this.#statusOf(spec).catch((error: unknown) => {
      if (!this.policy.allowsByDefault) throw refusal(attributes, messageOf(error));
      annotate(attributes, `${auditPrefix}failed-open`, "true");
      return undefined;
    });
    if (!status) return;
    const { allowed, reason, auditAnnotations = {} } = status;
    for (const [key, text] of Object.entries(auditAnnotations)) annotate(attributes, auditPrefix + key, text);
    if (allowed) return;
    throw refusal(
      attributes,
      reason
        ? `image policy webhook backend denied one or more images: ${reason}`
        : "one or more images rejected by webhook backend",
    );
  }

  #statusOf(spec: ImageReviewSpec): Promise<ImageReviewStatus> {
    const { allowTtl_ms, denyTtl_ms } = this.policy;
    const ask = async (): Promise<ImageReviewStatus> => {
      const review: ImageReview = {
        kind: "ImageReview",
        apiVersion: "imagepolicy.k8s.io/v1alpha1",
        metadata: {},
        spec,
        status: { allowed: false },
      };
      const answer: Partial<ImageReview> = await this.#webhook.review(review, this.policy.firstPause_ms);
      return answer.status ?? { allowed: false };
    };
    return this.#answers.answer(JSON.stringify(spec), ask, ({ allowed }) => (allowed ? allowTtl_ms : denyTtl_ms));
  }
}

/** What a pod says to the service; undefined where that is nothing. */
function concerning(annotations: Readonly<Record<string, string>> = {}): ImageReviewSpec["annotations"] {
  const own = Object.entries(annotations).filter(([key]) => key.includes(".image-policy.k8s.io/"));
  return own.length > 0 ? Object.fromEntries(own) : undefined;
}
