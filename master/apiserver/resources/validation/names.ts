/** Checks of single texts (util/validation of apimachinery). Each gives what is wrong, worded as clients know it. */

const label1123 = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomain1123 = `${label1123}(\\.${label1123})*`;
const label1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const underscoreLabel = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const underscoreSubdomain = `${underscoreLabel}(\\.${underscoreLabel})*`;
const qualifiedPart = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const whole = (expression: string): RegExp => new RegExp(`^${expression}$`);

const patterns = {
  label1123: whole(label1123),
  subdomain1123: whole(subdomain1123),
  subdomainCaseless: new RegExp(`^${subdomain1123}$`, "i"),
  label1035: whole(label1035),
  underscoreSubdomain: whole(underscoreSubdomain),
  wildcard: whole(`\\*\\.${subdomain1123}`),
  qualifiedPart: whole(qualifiedPart),
  labelValue: whole(`(${qualifiedPart})?`),
  cIdentifier: /^[A-Za-z_][A-Za-z0-9_]*$/,
  configKey: /^[-._a-zA-Z0-9]+$/,
  percent: /^[0-9]+%$/,
  headerName: /^[-A-Za-z0-9]+$/,
};

const bytes = (text: string): number => Buffer.byteLength(text);

/** Whether there is nothing to say of a text: each of the patterns takes ASCII alone, so that characters are bytes. */
const fits = (text: string, most: number, pattern: RegExp): boolean => text.length <= most && pattern.test(text);

export function regexError(message: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${pattern}')`;
  return `${message} (e.g. ${examples.map((each) => `'${each}', `).join(" or ")}regex used for validation is '${pattern}')`;
}
const maxCharacters = (length: number): string => `must be no more than ${length} characters`;
const maxBytes = (length: number): string => `must be no more than ${length} bytes`;
export const inclusiveRange = (low: number, high: number): string => `must be between ${low} and ${high}, inclusive`;

/** The rules that stand together, each with what to say when it is broken. */
function broken(...rules: (readonly [boolean, string])[]): string[] {
  const messages: string[] = [];
  for (const [isBroken, message] of rules) if (isBroken) messages.push(message);
  return messages;
}

export function isDns1123Label(text: string): string[] {
  if (fits(text, 63, patterns.label1123)) return [];
  const errors = broken([bytes(text) > 63, maxCharacters(63)]);
  if (patterns.label1123.test(text)) return errors;
  if (patterns.subdomain1123.test(text)) return [...errors, "must not contain dots"];
  const message =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  return [...errors, regexError(message, label1123, "my-name", "123-abc")];
}

const subdomainComplaint = regexError(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  subdomain1123,
  "example.com",
);

export function isDns1123Subdomain(text: string): string[] {
  if (fits(text, 253, patterns.subdomain1123)) return [];
  return broken([bytes(text) > 253, maxCharacters(253)], [!patterns.subdomain1123.test(text), subdomainComplaint]);
}

/** As isDns1123Subdomain, but with the limit worded in bytes, as newer parts of upstream do. */
export function isLongName(text: string): string[] {
  return isDns1123Subdomain(text).map((message) => (message === maxCharacters(253) ? maxBytes(253) : message));
}

export function isDns1123SubdomainWithUnderscore(text: string): string[] {
  const message =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
  return broken(
    [bytes(text) > 253, maxCharacters(253)],
    [!patterns.underscoreSubdomain.test(text), regexError(message, underscoreSubdomain, "example.com")],
  );
}

export function isWildcardDns1123Subdomain(text: string): string[] {
  const message =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
  return broken(
    [bytes(text) > 253, maxCharacters(253)],
    [!patterns.wildcard.test(text), regexError(message, `\\*\\.${subdomain1123}`, "*.example.com")],
  );
}

export function isDns1035Label(text: string): string[] {
  const message =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
  return broken(
    [bytes(text) > 63, maxCharacters(63)],
    [!patterns.label1035.test(text), regexError(message, label1035, "my-name", "abc-123")],
  );
}

const qualifiedComplaint = regexError(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualifiedPart,
  "MyName",
  "my.name",
  "123-abc",
);

/** A label's key: `name` or `prefix/name`. */
export function isQualifiedName(text: string): string[] {
  if (fits(text, 63, patterns.qualifiedPart)) return [];
  const parts = text.split("/");
  if (parts.length > 2) {
    return [
      `a valid label key ${qualifiedComplaint} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const errors: string[] = [];
  if (parts.length === 2) {
    const [prefix = ""] = parts;
    if (prefix === "") errors.push("prefix part must be non-empty");
    else errors.push(...isLongName(prefix).map((message) => `prefix part ${message}`));
  }
  const name = parts.at(-1) ?? "";
  if (name === "") errors.push("name part must be non-empty");
  else if (bytes(name) > 63) errors.push(`name part ${maxBytes(63)}`);
  if (!patterns.qualifiedPart.test(name)) errors.push(`name part ${qualifiedComplaint}`);
  return errors;
}

const labelValueComplaint = regexError(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  `(${qualifiedPart})?`,
  "MyValue",
  "my_value",
  "12345",
);

export function isLabelValue(text: string): string[] {
  if (fits(text, 63, patterns.labelValue)) return [];
  return broken([bytes(text) > 63, maxBytes(63)], [!patterns.labelValue.test(text), labelValueComplaint]);
}

export function isCIdentifier(text: string): string[] {
  const message =
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
  return broken([
    !patterns.cIdentifier.test(text),
    regexError(message, "[A-Za-z_][A-Za-z0-9_]*", "my_name", "MY_NAME", "MyName"),
  ]);
}

export function isPortNumber(port: number): string[] {
  return broken([!(Number.isInteger(port) && port >= 1 && port <= 65535), inclusiveRange(1, 65535)]);
}

export function isPortName(text: string): string[] {
  return broken(
    [bytes(text) > 15, maxCharacters(15)],
    [!/^[-a-z0-9]+$/.test(text), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"],
    [!/[a-z]/.test(text), "must contain at least one letter (a-z)"],
    [text.includes("--"), "must not contain consecutive hyphens"],
    [text.startsWith("-") || text.endsWith("-"), "must not begin or end with a hyphen"],
  );
}

const maxId = 2 ** 31 - 1;
/** A user or group ID. */
export function isId(id: number): string[] {
  return broken([id < 0 || id > maxId, inclusiveRange(0, maxId)]);
}

export function isPercent(text: string): string[] {
  const message = "a valid percent string must be a numeric string followed by an ending '%'";
  return broken([!patterns.percent.test(text), regexError(message, "[0-9]+%", "1%", "93%")]);
}

export function isHttpHeaderName(text: string): string[] {
  const message = "a valid HTTP header must consist of alphanumeric characters or '-'";
  return broken([!patterns.headerName.test(text), regexError(message, "[-A-Za-z0-9]+", "X-Header-Name")]);
}

/** Any printable ASCII but `=` (KEP-4369). */
export function isEnvironmentName(text: string): string[] {
  return broken(
    [text === "", "environment variable name must be non-empty"],
    [
      !/^[ -<>-~]*$/.test(text),
      "a valid environment variable name must consist only of printable ASCII characters other than '='",
    ],
  );
}

const configKeyComplaint = regexError(
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  "[-._a-zA-Z0-9]+",
  "key.name",
  "KEY_NAME",
  "key-name",
);

export function isConfigMapKey(text: string): string[] {
  if (!text.startsWith(".") && fits(text, 253, patterns.configKey)) return [];
  return broken(
    [bytes(text) > 253, maxCharacters(253)],
    [!patterns.configKey.test(text), configKeyComplaint],
    [text === ".", "must not be '.'"],
    [text === "..", "must not be '..'"],
    [text.startsWith("..") && text !== "..", "must not start with '..'"],
  );
}

/** What may not stand in a URL path segment. */
export function isPathSegment(name: string): string[] {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  if (!name.includes("/") && !name.includes("%")) return [];
  return broken([name.includes("/"), "may not contain '/'"], [name.includes("%"), "may not contain '%'"]);
}

/** A generateName is judged as the name it becomes: a trailing dash is followed by more. */
export function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name;
}
