/** Syntax of label keys and values, with the wording of apimachinery's validation (pkg/api/validate/content). */

const namePattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const nameRule = new RegExp(`^${namePattern}$`);
const valueRule = new RegExp(`^(${namePattern})?$`);
const dnsLabelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const dnsSubdomainPattern = `${dnsLabelPattern}(\\.${dnsLabelPattern})*`;
const dnsSubdomainRule = new RegExp(`^${dnsSubdomainPattern}$`);

const nameMaxBytes = 63;
const valueMaxBytes = 63;
const subdomainMaxBytes = 253;

const byteLength = (text: string): number => Buffer.byteLength(text, "utf8");
const tooLong = (bytes: number): string => `must be no more than ${bytes} bytes`;
const examples = (texts: readonly string[]): string => texts.map((text) => `'${text}', `).join(" or ");
const nameMessage =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
  `(e.g. ${examples(["MyName", "my.name", "123-abc"])}regex used for validation is '${namePattern}')`;

/** What is wrong with a label key (`[prefix/]name`); empty when nothing is. */
export function labelKeyProblems(key: string): string[] {
  const parts = key.split("/");
  const problems: string[] = [];
  if (parts.length > 2) {
    return [
      `a valid label key ${nameMessage} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  if (parts.length === 2) {
    const prefix = parts[0] ?? "";
    if (prefix === "") problems.push("prefix part must be non-empty");
    else problems.push(...subdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  }
  const name = parts[parts.length - 1] ?? "";
  if (name === "") problems.push("name part must be non-empty");
  else if (byteLength(name) > nameMaxBytes) problems.push(`name part ${tooLong(nameMaxBytes)}`);
  if (!nameRule.test(name)) problems.push(`name part ${nameMessage}`);
  return problems;
}

/** What is wrong with a label value; empty when nothing is. */
export function labelValueProblems(value: string): string[] {
  const problems: string[] = [];
  if (byteLength(value) > valueMaxBytes) problems.push(tooLong(valueMaxBytes));
  if (!valueRule.test(value)) {
    problems.push(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and " +
        `end with an alphanumeric character (e.g. ${examples(["MyValue", "my_value", "12345"])}` +
        `regex used for validation is '(${namePattern})?')`,
    );
  }
  return problems;
}

/** Whether it is a lower-case RFC 1123 subdomain, as names of most objects are. */
export const isSubdomain = (value: string): boolean => subdomainProblems(value).length === 0;

/** What is wrong with a lower-case RFC 1123 subdomain; empty when nothing is. */
function subdomainProblems(value: string): string[] {
  const problems: string[] = [];
  if (byteLength(value) > subdomainMaxBytes) problems.push(tooLong(subdomainMaxBytes));
  if (!dnsSubdomainRule.test(value)) {
    problems.push(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
        `end with an alphanumeric character (e.g. ${examples(["example.com"])}` +
        `regex used for validation is '${dnsSubdomainPattern}')`,
    );
  }
  return problems;
}
