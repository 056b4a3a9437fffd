// The deeds of driver-programs.test.ts with PostgreSQL's JDBC driver: what its users do, each followed by what came of it.
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class WithJdbc {
    interface Work {
        void run() throws Exception;
    }

    static void deed(String name) {
        System.out.println("== " + name);
    }

    static Connection connect(String... more) throws SQLException {
        String at = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        for (int i = 0; i < more.length; i += 2) properties.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection("jdbc:postgresql://" + at, properties);
    }

    static String refused(Work work) throws Exception {
        try {
            work.run();
        } catch (PSQLException error) {
            ServerErrorMessage said = error.getServerErrorMessage();
            return error.getSQLState() + " " + (said == null ? error.getMessage() : said.getMessage());
        } catch (BatchUpdateException error) {
            return error.getSQLState() + " " + Arrays.toString(error.getUpdateCounts());
        }
        return "not refused";
    }

    static String ask(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return ask(statement, values);
        }
    }

    static String ask(PreparedStatement statement, Object... values) throws SQLException {
        for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
        if (!statement.execute()) return String.valueOf(statement.getUpdateCount());
        return rows(statement.getResultSet());
    }

    static String rows(ResultSet set) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (set.next()) {
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= set.getMetaData().getColumnCount(); i++) row.add(String.valueOf(set.getObject(i)));
            rows.add(String.join("|", row));
        }
        return rows.toString();
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static void sessions(Connection one, Connection other) throws Exception {
        deed("values");
        System.out.println(ask(one, "SELECT ?::int, ?::bigint, ?::float8, ?::text, ?::boolean, ?::numeric, ?::text",
            1, 1L << 40, 1.5, "text 'é'", true, new java.math.BigDecimal("12.50"), null));
        System.out.println(ask(one, "SELECT ARRAY[1, 2], DATE '2026-01-02', '{\"k\": 1}'::jsonb, length(?)", new byte[] {0, -1}));

        deed("prepared");
        // Named on the server from its fifth execution on, and binary from then on; both clients use the same names.
        try (PreparedStatement mine = one.prepareStatement("SELECT ?::int + 1, now() > '2020-01-01'");
            PreparedStatement theirs = other.prepareStatement("SELECT ?::int * 2")) {
            for (int i = 0; i < 12; i++) System.out.print(ask(mine, i) + ask(theirs, i) + " ");
            System.out.println();
        }
        for (String change : new String[] {"ALTER TABLE thing ADD more int", "ALTER TABLE thing DROP more"}) {
            try (PreparedStatement all = one.prepareStatement("SELECT * FROM thing")) {
                for (int i = 0; i < 8; i++) ask(all);
                run(other, change);
                System.out.println(refused(() -> ask(all)) + " " + refused(() -> ask(all)));
            }
        }

        deed("pool");
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Integer>> totals = new ArrayList<>();
        for (int who = 0; who < 8; who++) totals.add(pool.submit(worker(who)));
        for (Future<Integer> total : totals) System.out.print(total.get() + " ");
        System.out.println();
        pool.shutdown();
    }

    static Callable<Integer> worker(int who) {
        return () -> {
            int total = 0;
            try (Connection client = connect()) {
                client.setAutoCommit(false);
                for (int i = 0; i < 20; i++) {
                    total += ask(client, "SELECT ?::int", who).length() + ask(client, "SELECT ?::int", i).length();
                    client.commit();
                }
            }
            return total;
        };
    }

    static void transactions(Connection one) throws Exception {
        deed("transactions");
        one.setAutoCommit(false);
        run(one, "INSERT INTO thing VALUES (1, 'kept')");
        Savepoint point = one.setSavepoint("point");
        run(one, "INSERT INTO thing VALUES (2, 'lost')");
        System.out.println(refused(() -> run(one, "INSERT INTO thing VALUES (1, 'twice')")));
        System.out.println(refused(() -> run(one, "SELECT 1")));
        one.rollback(point);
        run(one, "INSERT INTO thing VALUES (3, 'after')");
        one.commit();
        System.out.println(ask(one, "SELECT * FROM thing ORDER BY id"));
        one.rollback();
        one.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        one.setReadOnly(true);
        System.out.println(ask(one, "SHOW transaction_isolation"));
        System.out.println(refused(() -> run(one, "INSERT INTO thing VALUES (5, 'no')")));
        one.rollback();
        one.setReadOnly(false);
        one.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        try (Connection client = connect("autosave", "always")) {
            client.setAutoCommit(false);
            System.out.println(refused(() -> run(client, "SELECT 1 / 0")) + ask(client, "SELECT 'saved'"));
            client.rollback();
        }
    }

    static void data(Connection one) throws Exception {
        deed("copy");
        StringBuilder lines = new StringBuilder();
        for (int i = 100; i < 5000; i++) lines.append(i).append("\tthing ").append(i).append('\n');
        var copies = one.unwrap(PGConnection.class).getCopyAPI();
        System.out.println(copies.copyIn("COPY thing FROM STDIN", new StringReader(lines.toString())));
        StringWriter out = new StringWriter();
        copies.copyOut("COPY (SELECT * FROM thing WHERE id >= 100 ORDER BY id) TO STDOUT", out);
        System.out.println(out.toString().equals(lines.toString()));
        one.commit();
        System.out.println(refused(() -> copies.copyIn("COPY thing FROM STDIN", new StringReader("9001\tx\nno number\tx\n"))));
        one.rollback();
        CopyIn given = copies.copyIn("COPY thing FROM STDIN");
        given.writeToCopy("9001\tnever\n".getBytes(), 0, 11);
        given.cancelCopy();
        one.rollback();
        System.out.println(ask(one, "SELECT count(*) FROM thing"));

        deed("cursors");
        // In a transaction with a fetch size, it is a portal that is suspended.
        try (PreparedStatement statement = one.prepareStatement("SELECT generate_series(1, ?::int)")) {
            statement.setFetchSize(100);
            statement.setInt(1, 1003);
            int total = 0;
            try (ResultSet set = statement.executeQuery()) {
                while (set.next()) total += set.getInt(1);
            }
            System.out.println(total);
            // Left before its end.
            try (ResultSet set = statement.executeQuery()) {
                System.out.println(set.next());
            }
        }
        one.commit();
        one.setAutoCommit(true);

        deed("batches");
        try (PreparedStatement statement = one.prepareStatement("INSERT INTO thing VALUES (?, ?)")) {
            for (int i = 6000; i < 6300; i++) {
                statement.setInt(1, i);
                statement.setString(2, "many");
                statement.addBatch();
            }
            System.out.println(Arrays.stream(statement.executeBatch()).sum());
            for (int i : new int[] {7000, 7000, 7001}) {
                statement.setInt(1, i);
                statement.setString(2, "twice");
                statement.addBatch();
            }
            System.out.println(refused(statement::executeBatch) + ask(one, "SELECT count(*) FROM thing WHERE id >= 7000"));
        }
        try (PreparedStatement statement = one.prepareStatement("INSERT INTO thing VALUES (8000, 'key')", Statement.RETURN_GENERATED_KEYS)) {
            statement.executeUpdate();
            System.out.println(rows(statement.getGeneratedKeys()));
        }
    }

    static void asides(Connection one, Connection other) throws Exception {
        deed("notifications");
        run(other, "LISTEN news");
        one.setAutoCommit(false);
        run(one, "NOTIFY news, 'never'");
        one.rollback();
        run(one, "SELECT pg_notify('news', 'one')");
        run(one, "SELECT pg_notify('news', 'two')");
        one.commit();
        one.setAutoCommit(true);
        List<String> heard = new ArrayList<>();
        while (heard.size() < 2) {
            PGNotification[] more = other.unwrap(PGConnection.class).getNotifications(10_000);
            if (more != null) for (PGNotification one_ : more) heard.add(one_.getName() + ": " + one_.getParameter());
        }
        System.out.println(heard);
        run(other, "UNLISTEN *");

        deed("cancel");
        for (int round = 0; round < 3; round++) {
            AtomicBoolean isOver = new AtomicBoolean();
            Statement statement = one.createStatement();
            Thread canceller = new Thread(() -> {
                while (!isOver.get()) {
                    try {
                        Thread.sleep(50);
                        if (!isOver.get()) statement.cancel();
                    } catch (Exception error) {
                        System.out.println(error);
                    }
                }
            });
            canceller.start();
            System.out.println(refused(() -> statement.execute("SELECT pg_sleep(60)")));
            isOver.set(true);
            canceller.join();
            String after = "57014";
            while (after.startsWith("57014")) after = refused(() -> ask(one, "SELECT 'goes on'"));
            System.out.println(after);
        }

        deed("timeouts");
        try (Statement statement = one.createStatement()) {
            statement.setQueryTimeout(1);
            System.out.println(refused(() -> statement.execute("SELECT pg_sleep(60)")));
        }
        run(one, "SET statement_timeout = '200ms'");
        System.out.println(refused(() -> run(one, "SELECT pg_sleep(60)")));
        run(one, "RESET statement_timeout");
        other.setAutoCommit(false);
        run(other, "LOCK TABLE thing");
        one.setAutoCommit(false);
        run(one, "SET LOCAL lock_timeout = '50ms'");
        System.out.println(refused(() -> ask(one, "SELECT * FROM thing")));
        one.rollback();
        other.rollback();
        one.setAutoCommit(true);
        other.setAutoCommit(true);

        deed("notices and settings");
        try (Statement statement = one.createStatement()) {
            statement.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
            System.out.println(statement.getWarnings().getMessage());
        }
        one.setSchema("pg_catalog");
        System.out.println(one.getSchema() + " " + other.getSchema() + " " + one.getCatalog().equals(System.getenv("PGDATABASE")));
        one.setSchema("public");
        try (ResultSet set = one.getMetaData().getColumns(null, "public", "thing", "%")) {
            while (set.next()) System.out.print(set.getString("COLUMN_NAME") + " " + set.getString("TYPE_NAME") + " ");
        }
        System.out.println(other.isValid(5));
        try (Connection client = connect("options", "-c work_mem=5MB", "ApplicationName", "deeds", "preferQueryMode", "simple")) {
            System.out.println(ask(client, "SELECT current_setting('work_mem'), current_setting('application_name'), ?", 1));
        }
    }

    public static void main(String[] args) throws Exception {
        deed("connect");
        Connection one = connect();
        Connection other = connect();
        System.out.println(one.getAutoCommit() + " " + one.getMetaData().getURL().startsWith("jdbc:postgresql://127.0.0.1"));
        System.out.println(one.unwrap(org.postgresql.jdbc.PgConnection.class).getQueryExecutor().getServerVersionNum() > 0);
        run(one, "CREATE TABLE thing (id int PRIMARY KEY, name text)");
        sessions(one, other);
        transactions(one);
        data(one);
        asides(one, other);

        deed("leaving in a transaction");
        try (Connection leaving = connect()) {
            leaving.setAutoCommit(false);
            run(leaving, "DELETE FROM thing");
        }
        System.out.println(ask(one, "SELECT count(*) FROM thing"));
        run(one, "DROP TABLE thing");
        one.close();
        other.close();
        deed("end");
    }
}
