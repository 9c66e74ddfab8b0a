/** cert-manager, unmodified, against Bramble's API server: issuers, certificates and their renewal, its webhook, and injected authorities. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  leases,
  mutatingWebhookConfigurations,
  namespaces,
  secrets,
  validatingWebhookConfigurations,
} from "#shared/api/resources.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until } from "#shared/testing/until.ts";
import {
  type Custom,
  canRun,
  customRef,
  found,
  type OperatorHost,
  type RunningProgram,
  startOperatorHost,
  untilCondition,
} from "./installed.ts";

setDefaultTimeout(300_000);

const group = "cert-manager.io";
const issuers = customRef(group, "v1", "Issuer", "issuers");
const certificates = customRef(group, "v1", "Certificate", "certificates");
const requests = customRef(group, "v1", "CertificateRequest", "certificaterequests");
const namespace = "default";
const own = "cert-manager";
const ready = { type: "Ready", status: "True" };
const electionName = "cert-manager-cainjector-leader-election";

const issuer = (name: string, spec: object): Custom =>
  ({ apiVersion: `${group}/v1`, kind: "Issuer", metadata: { name, namespace }, spec }) as Custom;
const certificate = (name: string, spec: object): Custom =>
  ({ apiVersion: `${group}/v1`, kind: "Certificate", metadata: { name, namespace }, spec }) as Custom;

describe.skipIf(!canRun("cert-manager"))("cert-manager", () => {
  let host: OperatorHost;
  let injector: RunningProgram;

  const made = (object: Custom): Promise<Custom> =>
    host.admin.create(object.kind === "Issuer" ? issuers : certificates, object, { namespace });
  const isReady = (name: string): Promise<Custom> =>
    untilCondition(host.admin, certificates, { namespace, name }, ready);
  /** One of its controllers says "Ready" as soon as the Secret holds what was asked for, another one counts the revision and
   *  ends the issuance after that; what is changed before belongs to the same revision. */
  const isIssued = (name: string, revision: number): Promise<Custom> =>
    until(`revision ${revision} of ${name}`, async () => {
      const made = await isReady(name);
      const { status } = made;
      const conditions = (status?.["conditions"] ?? []) as { readonly type: string; readonly status: string }[];
      const isUnderWay = conditions.some((each) => each.type === "Issuing" && each.status === "True");
      return status?.["revision"] === revision && !isUnderWay ? made : undefined;
    });
  const dataOf = async (name: string): Promise<Record<string, string>> => {
    const { data = {} } = await host.admin.get(secrets, { namespace, name });
    return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, "base64").toString()]));
  };
  const issued = async (name: string): Promise<X509Certificate> =>
    new X509Certificate((await dataOf(name))["tls.crt"] ?? "");
  const inject = (): RunningProgram =>
    host.run("cert-manager", ["cainjector", `--kubeconfig=${host.kubeconfig}`, `--namespace=${own}`]);
  const leader = async (): Promise<string | undefined> =>
    (await found(host.admin.get(leases, { namespace: own, name: electionName })))?.spec?.holderIdentity || undefined;

  beforeAll(async () => {
    host = await startOperatorHost();
    const metadata = { name: own };
    await host.admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata, spec: {} });
    await host.define("cert-manager");
    const port = await freePort();
    const webhook = host.run("cert-manager", [
      "webhook",
      `--kubeconfig=${host.kubeconfig}`,
      `--secure-port=${port}`,
      `--healthz-port=${await freePort()}`,
      "--metrics-listen-address=0",
      `--dynamic-serving-ca-secret-namespace=${own}`,
      "--dynamic-serving-ca-secret-name=cert-manager-webhook-ca",
      "--dynamic-serving-dns-names=localhost",
    ]);
    await installWebhooks(host, port);
    await webhook.hasSaid("Serving certificate generated successfully");
    injector = inject();
    host.run("cert-manager", ["controller", `--kubeconfig=${host.kubeconfig}`, `--namespace=${own}`]);
  });
  afterAll(() => host.stop());

  test("puts its authority into the webhooks that ask for it", async () => {
    const { data = {} } = await until("the webhook's authority", () =>
      found(host.admin.get(secrets, { namespace: own, name: "cert-manager-webhook-ca" })),
    );
    const name = "cert-manager-webhook";
    await until("both have the authority", async () => {
      const [judging, marking] = await Promise.all([
        host.admin.get(validatingWebhookConfigurations, { name }),
        host.admin.get(mutatingWebhookConfigurations, { name }),
      ]);
      const bundles = [judging, marking].map(({ webhooks }) => webhooks?.[0]?.clientConfig.caBundle);
      return bundles.every((bundle) => bundle === data["ca.crt"]) ? true : undefined;
    });
  });

  test("refuses what its webhook finds wrong", async () => {
    const two = issuer("two", { selfSigned: {}, ca: { secretName: "a" } });
    await expect(made(two)).rejects.toThrow(
      /admission webhook "webhook\.cert-manager\.io" denied the request: spec\.\S+: /,
    );
    const hasty = {
      secretName: "a",
      dnsNames: ["a.example"],
      duration: "2h",
      renewBefore: "3h",
      issuerRef: { name: "a" },
    };
    await expect(made(certificate("hasty", hasty))).rejects.toThrow("denied the request: spec.renewBefore: ");
  });

  test("signs an authority's certificate by its own key", async () => {
    await made(issuer("own-key", { selfSigned: {} }));
    await untilCondition(host.admin, issuers, { namespace, name: "own-key" }, ready);
    const spec = { isCA: true, commonName: "authority", secretName: "authority", issuerRef: { name: "own-key" } };
    await made(certificate("authority", spec));
    await isReady("authority");
    const authority = await issued("authority");
    expect(authority.ca).toBe(true);
    expect(authority.checkIssued(authority)).toBe(true);
  });

  test("issues by the authority, once its request is approved", async () => {
    await made(issuer("by-authority", { ca: { secretName: "authority" } }));
    await untilCondition(host.admin, issuers, { namespace, name: "by-authority" }, ready);
    const spec = { dnsNames: ["a.example"], secretName: "leaf", issuerRef: { name: "by-authority" } };
    await made(certificate("leaf", spec));
    await isIssued("leaf", 1);
    const leaf = await issued("leaf");
    expect(leaf.checkIssued(await issued("authority"))).toBe(true);
    expect(leaf.subjectAltName).toBe("DNS:a.example");
    const request = await requestOf("leaf", "1");
    expect(request.status?.conditions).toContainEqual(expect.objectContaining({ type: "Approved", status: "True" }));
    // Its webhook writes down who asked.
    expect(request.spec).toMatchObject({ username: "admin", groups: expect.arrayContaining(["system:masters"]) });
  });

  test("renews what no longer is as it is asked for", async () => {
    const before = await issued("leaf");
    const body = { spec: { dnsNames: ["a.example", "b.example"] } };
    await host.admin.patch(certificates, { namespace, name: "leaf" }, { type: "merge", body });
    await isIssued("leaf", 2);
    const after = await issued("leaf");
    expect(after.subjectAltName).toBe("DNS:a.example, DNS:b.example");
    expect(after.serialNumber).not.toBe(before.serialNumber);
    await requestOf("leaf", "2");
  });

  test("hands the injectors over to the process that waits", async () => {
    const first = await until("a leader", leader);
    const second = inject();
    await second.hasSaid("Attempting to acquire leader lease");
    expect(await leader()).toBe(first);
    await injector.stop();
    await until("another leader", async () => {
      const now = await leader();
      return now !== undefined && now !== first ? true : undefined;
    });
    await host.admin.patch(
      validatingWebhookConfigurations,
      { name: "cert-manager-webhook" },
      { type: "json", body: [{ op: "remove", path: "/webhooks/0/clientConfig/caBundle" }] },
    );
    await until("the authority is there again", async () => {
      const { webhooks = [] } = await host.admin.get(validatingWebhookConfigurations, { name: "cert-manager-webhook" });
      return webhooks[0]?.clientConfig.caBundle ? true : undefined;
    });
  });

  test("has secrets go with their certificates", async () => {
    await host.admin.delete(certificates, { namespace, name: "leaf" });
    for (const ref of [secrets, requests]) {
      await until(`no ${ref.plural} of the leaf are left`, async () => {
        const { items } = await host.admin.list(ref, { namespace });
        return items.some(({ metadata }) => metadata.name?.startsWith("leaf")) ? undefined : true;
      });
    }
    expect(await found(host.admin.get(secrets, { namespace, name: "authority" }))).toBeDefined();
  });

  async function requestOf(name: string, revision: string): Promise<Custom> {
    const annotation = `${group}/certificate-revision`;
    return until(`request ${revision} of ${name}`, async () => {
      const { items } = await host.admin.list(requests, { namespace });
      const ofName = items.filter(({ metadata }) => metadata.annotations?.[`${group}/certificate-name`] === name);
      return ofName.find(({ metadata }) => metadata.annotations?.[annotation] === revision);
    });
  }
});

/** As its chart installs them for a webhook that is reached by an address. */
async function installWebhooks({ admin }: OperatorHost, port: number): Promise<void> {
  const metadata = {
    name: "cert-manager-webhook",
    annotations: { [`${group}/inject-ca-from-secret`]: `${own}/cert-manager-webhook-ca` },
  };
  const webhook = (path: string, rule: object) => ({
    name: "webhook.cert-manager.io",
    admissionReviewVersions: ["v1"],
    matchPolicy: "Equivalent",
    failurePolicy: "Fail",
    sideEffects: "None",
    timeoutSeconds: 30,
    clientConfig: { url: `https://localhost:${port}${path}` },
    rules: [{ apiVersions: ["v1"], ...rule }],
  });
  const apiVersion = "admissionregistration.k8s.io/v1";
  const judged = { apiGroups: [group, `acme.${group}`], operations: ["CREATE", "UPDATE"], resources: ["*/*"] };
  const marked = { apiGroups: [group], operations: ["CREATE"], resources: ["certificaterequests"] };
  await admin.create(validatingWebhookConfigurations, {
    apiVersion,
    kind: "ValidatingWebhookConfiguration",
    metadata,
    webhooks: [webhook("/validate", judged)],
  });
  await admin.create(mutatingWebhookConfigurations, {
    apiVersion,
    kind: "MutatingWebhookConfiguration",
    metadata,
    webhooks: [webhook("/mutate", marked)],
  });
}
