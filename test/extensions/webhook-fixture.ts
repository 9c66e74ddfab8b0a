/** The real API server with one admission webhook, that every write of some kinds is told to. */
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "#shared/api/resources.ts";
import type { RuleWithOperations } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { type ExtendedServer, startBacking, startExtendedServer } from "./extended-server.ts";

export interface WebhookFixture {
  /** Has namespaces `hooks`, where the webhook's Service is, and `work`. */
  readonly server: ExtendedServer;
  stop(): Promise<void>;
}

export interface WebhookFixtureOptions<Request> {
  readonly kind: "Mutating" | "Validating";
  /** Operations are all. */
  readonly rule: Omit<RuleWithOperations, "operations">;
  /** The response of a review, but for its UID. */
  readonly answer: (request: Request) => object;
  /** Of the server. */
  readonly more?: NonNullable<Parameters<typeof startExtendedServer>[1]>["more"];
}

export async function startWebhook<Request extends { readonly uid: string }>({
  kind,
  rule,
  answer,
  more,
}: WebhookFixtureOptions<Request>): Promise<WebhookFixture> {
  const server = await startExtendedServer(["hooks", "work"], more ? { more } : {});
  const hook = await startBacking(server, "hooks", "hook", ({ body }, response) => {
    const { request } = JSON.parse(body) as { readonly request: Request };
    const review = { uid: request.uid, ...answer(request) };
    response.end(JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", response: review }));
  });
  const configuration = {
    apiVersion: "admissionregistration.k8s.io/v1" as const,
    metadata: { name: "all" },
    webhooks: [
      {
        name: "all.example.com",
        clientConfig: { service: { namespace: "hooks", name: "hook" }, caBundle: hook.caBundle },
        admissionReviewVersions: ["v1"],
        sideEffects: "None" as const,
        rules: [{ ...rule, operations: ["*"] }],
      },
    ],
  };
  if (kind === "Mutating")
    await server.client.create(mutatingWebhookConfigurations, {
      ...configuration,
      kind: "MutatingWebhookConfiguration",
    });
  else
    await server.client.create(validatingWebhookConfigurations, {
      ...configuration,
      kind: "ValidatingWebhookConfiguration",
    });
  return {
    server,
    async stop() {
      hook.stop();
      await server.stop();
    },
  };
}
