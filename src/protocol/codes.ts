/**
 * Message types and request codes of the protocol, version 3. The same byte means different messages in the two
 * directions. Source: PostgreSQL manual, "Message Formats".
 */

const code = (letter: string): number => letter.charCodeAt(0);

/** Messages from a client to a server. */
export const Frontend = {
  Bind: code('B'),
  Close: code('C'),
  CopyData: code('d'),
  CopyDone: code('c'),
  CopyFail: code('f'),
  Describe: code('D'),
  Execute: code('E'),
  Flush: code('H'),
  FunctionCall: code('F'),
  Parse: code('P'),
  /** PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse. */
  Password: code('p'),
  Query: code('Q'),
  Sync: code('S'),
  Terminate: code('X'),
} as const;

/** Messages from a server to a client. */
export const Backend = {
  Authentication: code('R'),
  BackendKeyData: code('K'),
  BindComplete: code('2'),
  CloseComplete: code('3'),
  CommandComplete: code('C'),
  CopyData: code('d'),
  CopyDone: code('c'),
  CopyInResponse: code('G'),
  CopyOutResponse: code('H'),
  CopyBothResponse: code('W'),
  DataRow: code('D'),
  EmptyQueryResponse: code('I'),
  ErrorResponse: code('E'),
  FunctionCallResponse: code('V'),
  NegotiateProtocolVersion: code('v'),
  NoData: code('n'),
  NoticeResponse: code('N'),
  NotificationResponse: code('A'),
  ParameterDescription: code('t'),
  ParameterStatus: code('S'),
  ParseComplete: code('1'),
  PortalSuspended: code('s'),
  ReadyForQuery: code('Z'),
  RowDescription: code('T'),
} as const;

/** The Int32 in the place of the protocol version in the first packet of a connection. */
export const Request = {
  protocol30: 196608,
  protocol32: 196610,
  cancel: 80877102,
  ssl: 80877103,
  gssEnc: 80877104,
} as const;

/** The newest minor version of protocol 3 that Weir speaks with clients. */
export const newestMinor = 2;

/** AuthenticationXxx sub-codes. */
export const AuthCode = {
  Ok: 0,
  KerberosV5: 2,
  CleartextPassword: 3,
  Md5Password: 5,
  Gss: 7,
  GssContinue: 8,
  Sspi: 9,
  Sasl: 10,
  SaslContinue: 11,
  SaslFinal: 12,
} as const;

/** ReadyForQuery's transaction status. */
export const TxStatus = { Idle: code('I'), InTransaction: code('T'), Failed: code('E') } as const;

/** The transaction status as the letter in ReadyForQuery. */
export function statusLetter(status: number): 'I' | 'T' | 'E' {
  return status === TxStatus.Idle ? 'I' : status === TxStatus.InTransaction ? 'T' : 'E';
}

/** Largest value of a message's length field, which counts itself: just below 1 GB, as PQ_LARGE_MESSAGE_LIMIT. */
export const maxFrameLength = 0x3fffffff;
/** MAX_STARTUP_PACKET_LENGTH of PostgreSQL. */
export const maxStartupLength = 10_000;
/** The longest password message that PostgreSQL accepts (PG_MAX_AUTH_TOKEN_LENGTH), in bytes. */
export const maxAuthMessageLength = 65_535;

/** A message type for an error message: 'Q' for 0x51, or the number if it is not a printable character. */
export function describeType(type: number): string {
  return type >= 0x21 && type <= 0x7e ? `'${String.fromCharCode(type)}'` : `0x${type.toString(16).padStart(2, '0')}`;
}
