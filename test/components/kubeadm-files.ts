/** What `kubeadm init` of 1.35 leaves below /etc/kubernetes: its certificates, kubeconfigs and the flags in its manifests of
 *  static pods (cmd/kubeadm/app/phases/certs, kubeconfig and controlplane of upstream). */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { boardAddresses } from "#shared/board/addresses.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";

export const serviceRange = "10.96.0.0/12";
export const podRange = "10.244.0.0/16";

/** As kubeadm with `encryptionAlgorithm: ECDSA-P256`, which is much faster than RSA; only the key of tokens is RSA. */
const elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

export class KubeadmFiles {
  /** @param folder in the place of /etc/kubernetes. `server`: as kubeadm's controlPlaneEndpoint. */
  constructor(
    readonly folder: string,
    readonly server: string,
  ) {
    mkdirSync(join(folder, "pki", "etcd"), { recursive: true });
    for (const [name, commonName] of [
      ["ca", "kubernetes"],
      ["front-proxy-ca", "front-proxy-ca"],
      ["etcd/ca", "etcd-ca"],
    ] as const)
      this.#authority(name, commonName);
    const names =
      "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local";
    this.#certificate("apiserver", "ca", "/CN=kube-apiserver", `${names},DNS:localhost,IP:10.96.0.1,IP:127.0.0.1`);
    this.#certificate("apiserver-kubelet-client", "ca", "/O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client");
    this.#certificate("front-proxy-client", "front-proxy-ca", "/CN=front-proxy-client");
    this.#certificate("etcd/server", "etcd/ca", "/CN=board", "DNS:localhost,IP:127.0.0.1");
    this.#certificate("apiserver-etcd-client", "etcd/ca", "/CN=kube-apiserver-etcd-client");
    this.#openssl("genrsa", "-traditional", "-out", this.pki("sa.key"), "2048");
    this.#openssl("rsa", "-in", this.pki("sa.key"), "-pubout", "-out", this.pki("sa.pub"));
    this.#kubeconfig("super-admin", "/O=system:masters/CN=kubernetes-super-admin");
    this.#kubeconfig("controller-manager", "/CN=system:kube-controller-manager");
    this.#kubeconfig("scheduler", "/CN=system:kube-scheduler");
  }

  pki(name: string): string {
    return join(this.folder, "pki", name);
  }

  kubeconfig(name: string): string {
    return join(this.folder, `${name}.conf`);
  }

  apiServerFlags(etcdUrl: string, port: number): string[] {
    return [
      `--advertise-address=${boardAddresses({})[0]}`,
      "--allow-privileged=true",
      "--authorization-mode=Node,RBAC",
      `--client-ca-file=${this.pki("ca.crt")}`,
      "--enable-admission-plugins=NodeRestriction",
      "--enable-bootstrap-token-auth=true",
      `--etcd-cafile=${this.pki("etcd/ca.crt")}`,
      `--etcd-certfile=${this.pki("apiserver-etcd-client.crt")}`,
      `--etcd-keyfile=${this.pki("apiserver-etcd-client.key")}`,
      `--etcd-servers=${etcdUrl}`,
      `--kubelet-client-certificate=${this.pki("apiserver-kubelet-client.crt")}`,
      `--kubelet-client-key=${this.pki("apiserver-kubelet-client.key")}`,
      "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
      `--proxy-client-cert-file=${this.pki("front-proxy-client.crt")}`,
      `--proxy-client-key-file=${this.pki("front-proxy-client.key")}`,
      "--requestheader-allowed-names=front-proxy-client",
      `--requestheader-client-ca-file=${this.pki("front-proxy-ca.crt")}`,
      "--requestheader-extra-headers-prefix=X-Remote-Extra-",
      "--requestheader-group-headers=X-Remote-Group",
      "--requestheader-username-headers=X-Remote-User",
      `--secure-port=${port}`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${this.pki("sa.pub")}`,
      `--service-account-signing-key-file=${this.pki("sa.key")}`,
      `--service-cluster-ip-range=${serviceRange}`,
      `--tls-cert-file=${this.pki("apiserver.crt")}`,
      `--tls-private-key-file=${this.pki("apiserver.key")}`,
    ];
  }

  controllerManagerFlags(): string[] {
    const kubeconfig = this.kubeconfig("controller-manager");
    return [
      "--allocate-node-cidrs=true",
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      "--bind-address=127.0.0.1",
      `--client-ca-file=${this.pki("ca.crt")}`,
      `--cluster-cidr=${podRange}`,
      "--cluster-name=kubernetes",
      `--cluster-signing-cert-file=${this.pki("ca.crt")}`,
      `--cluster-signing-key-file=${this.pki("ca.key")}`,
      "--controllers=*,bootstrapsigner,tokencleaner",
      `--kubeconfig=${kubeconfig}`,
      "--leader-elect=true",
      `--requestheader-client-ca-file=${this.pki("front-proxy-ca.crt")}`,
      `--root-ca-file=${this.pki("ca.crt")}`,
      `--service-account-private-key-file=${this.pki("sa.key")}`,
      `--service-cluster-ip-range=${serviceRange}`,
      "--use-service-account-credentials=true",
    ];
  }

  schedulerFlags(): string[] {
    const kubeconfig = this.kubeconfig("scheduler");
    return [
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      "--bind-address=127.0.0.1",
      `--kubeconfig=${kubeconfig}`,
      "--leader-elect=true",
    ];
  }

  #authority(name: string, commonName: string): void {
    this.#openssl(
      ...["req", "-x509", ...elliptic, "-nodes", "-days", "3650", "-subj", `/CN=${commonName}`],
      ...["-keyout", this.pki(`${name}.key`), "-out", this.pki(`${name}.crt`)],
      ...["-addext", "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign"],
    );
  }

  #certificate(name: string, authority: string, subject: string, names = ""): void {
    const request = this.pki(`${name}.csr`);
    const extensions = this.pki(`${name}.ext`);
    writeFileSync(
      extensions,
      `keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n${names && `subjectAltName=${names}\n`}`,
    );
    this.#openssl(
      ...["req", "-new", ...elliptic, "-nodes", "-subj", subject],
      ...["-keyout", this.pki(`${name}.key`), "-out", request],
    );
    this.#openssl(
      ...["x509", "-req", "-in", request, "-days", "365", "-CAcreateserial", "-extfile", extensions],
      ...["-CA", this.pki(`${authority}.crt`), "-CAkey", this.pki(`${authority}.key`), "-out", this.pki(`${name}.crt`)],
    );
  }

  #kubeconfig(name: string, subject: string): void {
    this.#certificate(name, "ca", subject);
    const read = (file: string): string => readFileSync(this.pki(file), "utf8");
    const text = renderKubeconfig({
      server: this.server,
      caCertificatePem: read("ca.crt"),
      credentials: { certificatePem: read(`${name}.crt`), keyPem: read(`${name}.key`) },
      userName: name,
    });
    writeFileSync(this.kubeconfig(name), text, { mode: 0o600 });
  }

  #openssl(...args: readonly string[]): void {
    const { exitCode, stderr } = Bun.spawnSync({ cmd: ["openssl", ...args] });
    if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr.toString()}`);
  }
}
