-- One role and, where `database` is not empty, its database. Variables come from init.sh; the password from the file in PW_FILE.
-- (psql does not expand :'variables' inside $$ blocks, hence \gexec.)
\set password `cat "$PW_FILE"`

SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT %s',
              :'role', :connections) \gexec
\if :fresh
SELECT format('ALTER ROLE %I PASSWORD %L', :'role', :'password') \gexec
\endif

SELECT :'database' <> '' AS has_database \gset
\if :has_database
-- Synapse insists on collation C; it does the others no harm (ICU and language belong to the application's queries).
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C'' LC_CTYPE ''C''', :'database', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'role') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', :'database', :'role') \gexec
\endif
