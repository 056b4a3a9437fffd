/* The deeds of driver-programs.test.ts that only C reaches: libpq's pipelines, single rows, cancels, COPY. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void deed(const char *name) { printf("\n== %s\n", name); }

static PGconn *connect_anew(void)
{
    PGconn *conn = PQconnectdb("");
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        exit(1);
    }
    return conn;
}

/* What a result is, in one line. */
static void say(PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (result == NULL) {
        printf("nothing");
    } else {
        printf("%s", PQresStatus(PQresultStatus(result)));
        if (sqlstate != NULL) printf(" %s", sqlstate);
        if (PQntuples(result) > 0) printf(" %d: %s", PQntuples(result), PQgetvalue(result, 0, 0));
        if (*PQcmdStatus(result) != '\0') printf(" %s", PQcmdStatus(result));
    }
    printf("; ");
    PQclear(result);
}

static void ask(PGconn *conn, const char *sql) { say(PQexec(conn, sql)); }

static void send_number(PGconn *conn, const char *sql, const char *value)
{
    const char *values[1] = {value};
    if (!PQsendQueryParams(conn, sql, 1, NULL, values, NULL, NULL, 0)) printf("not sent: %s", PQerrorMessage(conn));
}

/* All results of one statement of a pipeline. */
static void take(PGconn *conn)
{
    PGresult *result = PQgetResult(conn);
    say(result);
    if (result != NULL && (result = PQgetResult(conn)) != NULL) say(result);
}

static void pipelines(PGconn *conn)
{
    char number[16];
    deed("a pipeline of one Sync");
    PQenterPipelineMode(conn);
    for (int i = 0; i < 5; i++) {
        snprintf(number, sizeof number, "%d", i);
        send_number(conn, "SELECT $1::int * 10", number);
    }
    PQpipelineSync(conn);
    for (int i = 0; i < 5; i++) take(conn);
    say(PQgetResult(conn));

    deed("an error aborts up to the next Sync");
    send_number(conn, "INSERT INTO thing VALUES ($1)", "1");
    send_number(conn, "SELECT 1 / $1::int", "0");
    send_number(conn, "INSERT INTO thing VALUES ($1)", "2");
    PQpipelineSync(conn);
    send_number(conn, "INSERT INTO thing VALUES ($1)", "3");
    PQpipelineSync(conn);
    for (int i = 0; i < 3; i++) take(conn);
    say(PQgetResult(conn));
    take(conn);
    say(PQgetResult(conn));

    deed("a transaction in a pipeline, prepared in it");
    send_number(conn, "SELECT $1::text", "outside");
    PQsendQueryParams(conn, "BEGIN", 0, NULL, NULL, NULL, NULL, 0);
    PQsendPrepare(conn, "put", "INSERT INTO thing VALUES ($1) RETURNING id", 0, NULL);
    for (int i = 10; i < 13; i++) {
        const char *values[1] = {number};
        snprintf(number, sizeof number, "%d", i);
        PQsendQueryPrepared(conn, "put", 1, values, NULL, NULL, 0);
    }
    PQsendDescribePrepared(conn, "put");
    PQsendQueryParams(conn, "COMMIT", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    for (int i = 0; i < 8; i++) take(conn);
    say(PQgetResult(conn));

    deed("a flush request, answers before the Sync");
    send_number(conn, "SELECT $1::int", "42");
    PQsendFlushRequest(conn);
    PQflush(conn);
    take(conn);
    send_number(conn, "SELECT $1::int", "43");
    PQpipelineSync(conn);
    take(conn);
    say(PQgetResult(conn));

    deed("single rows in a pipeline");
    send_number(conn, "SELECT generate_series(1, $1::int)", "4");
    PQpipelineSync(conn);
    PQsetSingleRowMode(conn);
    for (PGresult *row = PQgetResult(conn); row != NULL; row = PQgetResult(conn)) say(row);
    say(PQgetResult(conn));

    deed("a long pipeline, written and read at the same time");
    int sent = 0, got = 0, total = 0;
    PQsetnonblocking(conn, 1);
    while (got < 3000) {
        struct pollfd fd = {PQsocket(conn), POLLIN, 0};
        for (int i = 0; i < 100 && sent < 3000; i++, sent++) {
            snprintf(number, sizeof number, "%d", sent);
            send_number(conn, "SELECT $1::int", number);
            if (sent % 50 == 49) PQpipelineSync(conn);
        }
        if (PQflush(conn) == 1) fd.events |= POLLOUT;
        poll(&fd, 1, 10000);
        PQconsumeInput(conn);
        /* NULL ends each statement; twice in a row, everything that was sent is answered. */
        for (int nothing = 0; nothing < 2 && !PQisBusy(conn) && got < 3000;) {
            PGresult *result = PQgetResult(conn);
            nothing = result == NULL ? nothing + 1 : 0;
            if (PQresultStatus(result) == PGRES_TUPLES_OK) {
                total += atoi(PQgetvalue(result, 0, 0));
                got++;
            }
            PQclear(result);
        }
    }
    PQsetnonblocking(conn, 0);
    PQgetResult(conn);
    say(PQgetResult(conn));
    printf("%d %d", got, total);
    printf(" left: %d\n", PQexitPipelineMode(conn));
}

static void outside_of_pipelines(PGconn *conn)
{
    deed("several results of one string");
    PQsendQuery(conn, "SELECT 1; INSERT INTO thing VALUES (50); SELECT 1 / 0; SELECT 2");
    for (PGresult *result = PQgetResult(conn); result != NULL; result = PQgetResult(conn)) say(result);
    ask(conn, "SELECT count(*) FROM thing");

    deed("COPY, and an end of it from either side");
    say(PQexec(conn, "COPY thing FROM STDIN"));
    PQputCopyData(conn, "100\n101\n", 8);
    PQputCopyEnd(conn, NULL);
    say(PQgetResult(conn));
    say(PQgetResult(conn));
    say(PQexec(conn, "COPY thing FROM STDIN"));
    PQputCopyData(conn, "200\n", 4);
    PQputCopyEnd(conn, "changed my mind");
    say(PQgetResult(conn));
    say(PQgetResult(conn));
    say(PQexec(conn, "COPY thing TO STDOUT"));
    for (char *row; PQgetCopyData(conn, &row, 0) > 0; PQfreemem(row)) printf("%.*s,", (int)strcspn(row, "\n"), row);
    say(PQgetResult(conn));
    say(PQgetResult(conn));

    deed("a cancel");
    char error[256];
    PGcancel *cancel = PQgetCancel(conn);
    PQsendQuery(conn, "SELECT pg_sleep(60)");
    PQflush(conn);
    for (struct pollfd fd = {PQsocket(conn), POLLIN, 0}; poll(&fd, 1, 100) == 0;) PQcancel(cancel, error, sizeof error);
    say(PQgetResult(conn));
    say(PQgetResult(conn));
    PQfreeCancel(cancel);
    ask(conn, "SELECT 'goes on'");

    deed("describe, and what is not there");
    say(PQprepare(conn, "text", "SELECT $1::text, $2::int", 0, NULL));
    PGresult *described = PQdescribePrepared(conn, "text");
    printf("%d parameters, %u; %d columns; ", PQnparams(described), PQparamtype(described, 1), PQnfields(described));
    PQclear(described);
    say(PQdescribePrepared(conn, "nothing"));
    say(PQdescribePortal(conn, "nothing"));
    say(PQexecPrepared(conn, "nothing", 0, NULL, NULL, NULL, 0));

    deed("a function call");
    int answer = 0, size = 0;
    PQArgBlock number = {.isint = 1, .len = 4, .u.integer = -7};
    /* int4abs, and nothing. */
    say(PQfn(conn, 1397, &answer, &size, 1, &number, 1));
    printf("%d; ", answer);
    say(PQfn(conn, 0, &answer, &size, 1, NULL, 0));
    printf("%s %s %d", PQparameterStatus(conn, "server_encoding"), PQparameterStatus(conn, "integer_datetimes"), PQprotocolVersion(conn));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    deed("connect");
    PGconn *conn = connect_anew();
    printf("%d", PQsslInUse(conn));
    PQsetNoticeProcessor(conn, NULL, NULL);
    ask(conn, "CREATE TABLE thing (id int PRIMARY KEY)");
    pipelines(conn);
    outside_of_pipelines(conn);
    ask(conn, "DROP TABLE thing");
    PQfinish(conn);
    deed("end");
    return 0;
}
